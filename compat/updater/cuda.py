"""cuda.csv and cudnn.csv: the releases that builds name; what no index tells is kept by hand.

Drivers and the oldest GPU stand in NVIDIA's release notes only. A new toolkit takes them from the
newest of its major that the table has, for neither moves within a major (minor-version
compatibility); the first toolkit of a new major waits for a row by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.version import Version

from ..cells import Cells, Sheet
from .finding import Finding, Found, Missed
from .releases import DEFAULT_SOURCE, history
from .sources import UnreachedError
from .world import World

__all__ = ["PACKAGE", "cuda", "cudnn"]

# The meta-package whose versions are those of the toolkit.
PACKAGE = "cuda-toolkit"

_RELEASE_NUMBERS = 3


def cuda(sheet: Sheet, world: World, _: Mapping[str, Sheet]) -> Finding:
    """New toolkits, by the releases of their meta-package."""
    known = {Version(row["version"]) for row in sheet.rows}
    try:
        past = history(world, PACKAGE, (), oldest=min(known))
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), "cuda"),))
    found, notes = [], []
    for release in past.releases:
        version = Version(".".join(map(str, release.version.release[:_RELEASE_NUMBERS])))
        if version in known:
            continue
        before = _newest_of_major(sheet.rows, version)
        if before is None:
            notes.append(
                f"CUDA {version} is left out: its oldest driver and GPU are not known; "
                "add a row to cuda.csv by hand, from NVIDIA's release notes"
            )
            continue
        carried = ("minimal_driver", "oldest_capability")
        found.append(
            Found(
                {"version": str(version)},
                {"": DEFAULT_SOURCE, **dict.fromkeys(carried, f"as CUDA {before['version']}")},
                {name: before[name] for name in carried},
            )
        )
    return Finding(tuple(found), notes=tuple(notes))


def _newest_of_major(rows: Iterable[Cells], version: Version) -> Cells | None:
    found = [row for row in rows if Version(row["version"]).major == version.major]
    return found[-1] if found else None


def cudnn(_: Sheet, __: World, sheets: Mapping[str, Sheet]) -> Finding:
    """The cuDNN releases that builds of torch and tensorflow name, whole."""
    named: dict[str, str] = {}
    for row in sheets["torch"].rows:
        named.setdefault(row["cudnn"], "torch builds")
    for row in sheets["tensorflow"].rows:
        if row["cudnn_packages"].startswith("=="):
            named.setdefault(row["cudnn_packages"].removeprefix("=="), "tensorflow[and-cuda]")
    named.pop("", None)
    return Finding(tuple(Found({"version": text}, {"": source}) for text, source in named.items()))
