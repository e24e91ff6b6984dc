"""The table of known overrides: rows that can be read and that say something."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from support.matrices import tables


def test_every_row_corrects_another_package_with_a_range_and_tells_why() -> None:
    for row in tables().overrides:
        wanted = Requirement(row.requires)
        assert row.package == canonicalize_name(row.package)
        assert str(wanted.specifier), row
        assert not wanted.extras
        assert wanted.marker is None
        assert canonicalize_name(wanted.name) != row.package
        assert SpecifierSet(row.versions) is not None
        assert row.package in row.evidence
        assert not row.evidence.endswith(".")


def test_the_known_breaks_are_in_it() -> None:
    found = {(row.package, row.requires) for row in tables().overrides}
    assert {("tensorflow", "numpy<2"), ("vllm", "transformers<5")} <= found


def test_every_row_says_how_it_was_checked() -> None:
    for row in tables().overrides:
        assert "installed and" in row.source or "sources of the wheels" in row.source, row
