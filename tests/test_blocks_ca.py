"""COG_CA_CERT in its forms, and what becomes of it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogpack.blocks.ca_certificates import read_certificates
from cogpack.errors import UserError
from cogpack.plan.model import BindMount, Env, Exec, MkFile, PhaseInput
from support.projects import planned, stage_of, write_project


def pem(content: bytes) -> str:
    text = base64.encodebytes(content).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


ONE, TWO = pem(b"first certificate " * 9), pem(b"second certificate " * 9)


def plain(certificates: tuple[str, ...]) -> list[bytes]:
    return [base64.b64decode("".join(one.splitlines()[1:-1])) for one in certificates]


def test_a_file_a_folder_a_text_and_base64_are_the_same(tmp_path: Path) -> None:
    both = f"Subject: one\n{ONE}\nSubject: two\n{TWO}"
    (tmp_path / "both.crt").write_text(both)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.PEM").write_text(ONE)
    (folder / "b.crt").write_text(TWO)
    (folder / "README").write_text("not one")
    values = [
        str(tmp_path / "both.crt"),
        str(folder),
        f"{ONE}{TWO}{ONE}",
        base64.b64encode(both.encode()).decode(),
        base64.encodebytes(f"{ONE}{TWO}".encode()).decode(),
    ]
    assert {read_certificates(value) for value in values} == {read_certificates(ONE + TWO)}
    assert plain(read_certificates(ONE + TWO)) == [
        b"first certificate " * 9,
        b"second certificate " * 9,
    ]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("/no/such/file", "is no file"),
        ("nonsense!", "is no file"),
        (base64.b64encode(b"nothing of that kind").decode(), "has no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "damaged"),
        (ONE.replace("\n", "\n*", 1), "damaged"),
        (f"{ONE}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
        ("x" * 5000, "is no file"),
    ],
)
def test_what_is_no_certificate_is_refused(value: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as raised:
        read_certificates(value)
    assert str(raised.value).startswith("$COG_CA_CERT: ")
    assert raised.value.faults[0].hint


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.crt and no \.pem"):
        read_certificates(str(tmp_path))


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=4))
def test_certificates_come_in_order_and_once(contents: list[bytes]) -> None:
    found = read_certificates("".join(map(pem, contents)))
    assert plain(found) == list(dict.fromkeys(contents))


def test_everything_that_is_fetched_trusts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_CA_CERT", ONE + TWO)
    plan = planned(write_project(tmp_path))
    first, second = stage_of(plan, "ca-files").ops
    assert isinstance(first, MkFile)
    assert isinstance(second, MkFile)
    assert (first.content, second.content) == read_certificates(ONE + TWO)
    install, *variables = stage_of(plan, "ca").ops
    assert isinstance(install, Exec)
    assert "BEGIN" not in install.command
    assert any(isinstance(mount, BindMount) for mount in install.mounts)
    names = {one.name for one in variables if isinstance(one, Env)}
    assert names == {"PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    # apt and the fetch of uv stand on it, and it is the image's first layer.
    assert stage_of(plan, "apt").source == PhaseInput(name="base")
    assert stage_of(plan, "uv").source == PhaseInput(name="base")
    assert plan.export_phases[0].stages[0].id == "export:ca"
    assert set(plan.config.env) >= {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    assert "PIP_CERT" not in plan.config.env


def test_without_the_variable_nothing_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_CA_CERT", " ")
    plan = planned(write_project(tmp_path))
    assert not plan.build_phases[0].stages
    assert "SSL_CERT_FILE" not in plan.config.env
