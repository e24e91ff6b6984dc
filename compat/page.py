"""A table as one HTML page that needs nothing else: no script, style, font or image from outside.

Of torch it shows the matrix, releases by Pythons, with the variants in the cells. Filters are a few
lines of script in the page; without script everything is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files

from packaging.version import Version

from .cells import Cells
from .show import Shown, contains

__all__ = ["page"]

_FACTS = ("cudnn", "triton", "glibc", "kernels", "withdrawn")


def page(shown: Shown) -> str:
    """The page of the rows that are shown."""
    text = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "title": escape(f"cogpack: {shown.table}"),
        "table": escape(shown.table),
        "count": str(len(shown.rows)),
        "controls": "".join(_controls(shown)),
        "matrix": _matrix(shown) if shown.table == "torch" else "",
        "rows": _rows(shown),
    }
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _controls(shown: Shown) -> Iterator[str]:
    if shown.has_pythons:
        minors = [minor for minor in shown.pythons if any(_fits(row, minor) for row in shown.rows)]
        yield _select("python", "Python", reversed(minors))
    if "cuda" in shown.columns:
        cudas = sorted({row["cuda"] for row in shown.rows} - {""}, key=Version, reverse=True)
        yield _select("cuda", "CUDA", [*cudas, "none"])
    if "architecture" in shown.columns:
        architectures = sorted({row["architecture"] for row in shown.rows})
        yield _select("architecture", "Architecture", architectures)


def _select(name: str, title: str, options: Iterable[str]) -> str:
    listed = "".join(f"<option>{escape(option)}</option>" for option in options)
    return (
        f'<label>{escape(title)} <select data-filter="{name}">'
        f'<option value="">all</option>{listed}</select></label>'
    )


def _matrix(shown: Shown) -> str:
    releases: dict[Version, list[Cells]] = {}
    for row in shown.rows:
        releases.setdefault(Version(Version(row["version"]).public), []).append(row)
    minors = [minor for minor in shown.pythons if any(_fits(row, minor) for row in shown.rows)]
    head = "".join(f'<th scope="col" data-minor="{minor}">{minor}</th>' for minor in minors)
    body = "".join(
        f'<tr><th scope="row">{release}</th>'
        + "".join(_cell(releases[release], minor) for minor in minors)
        + "</tr>\n"
        for release in sorted(releases, reverse=True)
    )
    return (
        "<h2>torch by Python</h2>\n<p>A variant that is <b>framed</b> is a build of the default "
        "index, the others come from PyTorch's own.</p>\n"
        '<div class="wide"><table id="matrix"><thead><tr><th scope="col">torch</th>'
        f"{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def _cell(rows: Iterable[Cells], minor: str) -> str:
    variants: dict[str, list[Cells]] = {}
    for row in rows:
        if _fits(row, minor):
            variants.setdefault(row["variant"], []).append(row)
    chips = "".join(_chip(variant, variants[variant]) for variant in sorted(variants))
    return f'<td data-minor="{minor}">{chips}</td>'


def _chip(variant: str, rows: list[Cells]) -> str:
    """One variant of a release: its builds for all architectures, from all indexes."""
    architectures = sorted({row["architecture"] for row in rows})
    classes = "chip"
    classes += " default" if any(not row["index_url"] for row in rows) else ""
    classes += " withdrawn" if all(row["withdrawn"] for row in rows) else ""
    small = {"amd64": "", "arm64": "arm64 only", "amd64 arm64": "+ arm64"}
    shown = small.get(" ".join(architectures), " ".join(architectures))
    return (
        f'<span class="{classes}" data-cuda="{escape(rows[0]["cuda"] or "none")}" '
        f'data-architecture="{escape(" ".join(architectures))}" '
        f'title="{escape(chr(10).join(map(_facts, rows)))}">{escape(variant)}'
        + (f" <small>{escape(shown)}</small>" if shown else "")
        + "</span>"
    )


def _facts(row: Cells) -> str:
    facts = [f"torch {row['version']} for {row['architecture']}"]
    facts += [f"CUDA {row['cuda']}"] if row["cuda"] else []
    facts += [f"{name} {row[name]}" for name in _FACTS if row[name]]
    return "; ".join(facts)


def _rows(shown: Shown) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in shown.columns)
    body = "".join(_row(shown, row) for row in shown.rows)
    return (
        f'<div class="wide"><table id="rows"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(shown: Shown, row: Cells) -> str:
    minors = [m for m in shown.pythons if _fits(row, m)] if shown.has_pythons else []
    data = f' data-python="{" ".join(minors)}"' if shown.has_pythons else ""
    if "cuda" in shown.columns:
        data += f' data-cuda="{escape(row["cuda"] or "none")}"'
    if "architecture" in shown.columns:
        data += f' data-architecture="{escape(row["architecture"])}"'
    cells = "".join(f"<td>{escape(row[column])}</td>" for column in shown.columns)
    source = escape(f"{row['source']}, {row['checked']}")
    return f'<tr{data} title="{source}">{cells}</tr>\n'


def _fits(row: Cells, minor: str) -> bool:
    return contains(row["python"], f"{minor}.99")
