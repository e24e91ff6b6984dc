"""Resolutions, conflicts and reasons as plain text, for people who never heard of a solver."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..origin import Origin
from .conflict import Change, Clash, Conflict, Fix
from .policy import Preference
from .requirement import Requirement
from .resolution import BaseImage, Resolution
from .universe import Candidate, Fact

if TYPE_CHECKING:
    from .why import Link, Preferred, Refusal, Why

__all__ = [
    "change_text",
    "conflict_text",
    "fix_text",
    "origin_text",
    "preferred_text",
    "requirement_text",
    "resolution_text",
    "versions_text",
    "why_text",
]

_VERSION = re.compile(r"\d[\w.+]*")

_UV_LOCK = "uv.lock"

# How many alike facts are written out before the rest is only counted.
ALIKE = 3


def resolution_text(resolution: Resolution) -> str:
    """A table: package, version, where it comes from, because of which line; then the images.

    The indexes stand below it, numbered: with them in it no line would fit a terminal.
    """
    indexes = sorted({choice.index for choice in resolution if choice.index})
    places = {index: f"[{number}]" for number, index in enumerate(indexes, 1)}
    rows = [("package", "version", "from", "because of")]
    rows += [
        (
            choice.package,
            choice.version,
            places.get(choice.index, "-"),
            _origins_text(choice.because) + (f"; facts: {choice.facts}" if choice.facts else ""),
        )
        for choice in resolution
    ]
    lines = _table(rows)
    if places:
        lines += ["", *(f"{number} {index}" for index, number in places.items())]
    images = resolution.base_images
    if images.build.ref or images.runtime.ref:
        lines += ["", *_images(images.build, images.runtime)]
    return "\n".join(lines) + "\n"


def conflict_text(conflict: Conflict) -> str:
    """Every clash in the user's lines and the tables' facts, and what would end it."""
    groups = _by_fixes(conflict.clashes)
    parts = []
    for number, (fixes, group) in enumerate(groups, 1):
        heading = f"Problem {number} of {len(groups)}\n" if len(groups) > 1 else ""
        clashes = "\n\n".join(_clash(clash) for clash in group)
        parts.append(f"{heading}{clashes}\n\n{_fixes(fixes)}")
    return "\n".join(parts)


def why_text(why: Why) -> str:
    """The chain of reasons for a package and why nothing better was taken."""
    if why.chosen is None:
        return _absence_text(why)
    lines = [f"{why.package} {why.chosen.label}"]
    lines += dict.fromkeys(f"  {_link(link, why.package)}" for link in why.links)
    if not why.refusals:
        lines.append("Nothing better is known.")
    for refusal in _together(why.refusals):
        lines.append(f"not {_span(refusal.labels)}, because")
        lines += [f"  {reason}" for reason in _reasons(refusal)]
    return "\n".join(lines) + "\n"


def _absence_text(why: Why) -> str:
    if not why.links:
        return f"{why.package} is not part of the image: nothing asks for it.\n"
    links = dict.fromkeys(f"  {_link(link, why.package)}" for link in why.links)
    if why.decided:
        told = f"{why.package} is not part of the image: what speaks of it is met in another way"
    else:
        told = (
            f"{why.package} is no part of the tables: the newest version on the index that fits\n"
            "is installed, or that of the lock (cogpack resolve --lock)"
        )
    return "\n".join([told, *links]) + "\n"


def versions_text(package: str, candidates: Sequence[Candidate]) -> str:
    """The versions that still have a solution, one a line."""
    if not candidates:
        return f"No version of {package} goes with this project.\n"
    rows = [(candidate.label, candidate.index) for candidate in candidates]
    return "\n".join(_table(rows)) + "\n"


def preferred_text(preferred: Preferred) -> str:
    """What mattered more than a candidate: `the newest torch is preferred to it: 2.7.1`."""
    step = preferred.step
    if step.prefer == "present":
        return f"an image with {step.package} is preferred"
    if not preferred.label:
        if preferred.avoided:
            return f"it would only do with a compromise: {preferred.avoided}"
        return f"an image without {step.package} is preferred"
    label = preferred.label.partition("+")[0] if "release" in step.prefer else preferred.label
    return f"{_WISHES[step.prefer]} {step.package} is preferred to it: {label}"


def requirement_text(requirement: Requirement) -> str:
    """`torch==2.4.1 (requirements.txt:2)`, or who asked when no line did."""
    origin = requirement.origin
    plain = f"{requirement.package}{requirement.specifier}"
    if origin.file:
        return f"{origin.text or plain} ({origin.where})"
    if origin.asker.startswith("--"):
        return origin.text or origin.asker
    return f"{origin.text or plain} (asked for by {origin.asker})" if origin.asker else plain


def origin_text(origin: Origin) -> str:
    """`torch==2.4.1 (requirements.txt:2)` for an origin alone."""
    if origin.file:
        return f"{origin.text} ({origin.where})" if origin.text else origin.where
    return origin.text or origin.asker


def fix_text(fix: Fix) -> str:
    """All edits of a fix in one sentence."""
    return ", and ".join(change_text(change) for change in fix.changes)


def change_text(change: Change) -> str:
    """One edit: `set python_version to 3.12, cog.yaml:3`."""
    origin = change.requirement.origin
    where = f", {origin.where}" if origin.file else ""
    text = origin.text or f"{change.requirement.package}{change.requirement.specifier}"
    if origin.file == _UV_LOCK:
        # Whoever edits a lock by hand leaves the hashes of other files in it.
        if change.after is None:
            return f"do without {text} and lock anew with uv{where}"
        new = f"{change.requirement.package}{change.specifier}"
        return f"lock {new} in place of {text}: uv lock --upgrade-package {new}{where}"
    if change.after is None:
        verb = "leave out" if origin.asker.startswith("--") else "remove"
        return f"{verb} {text}{where}"
    if change.before not in text:
        return f"ask for {change.requirement.package}{change.after} in place of {text}{where}"
    key, colon, value = text.partition(":")
    if colon and key.strip().isidentifier() and change.before in value:
        return f"set {key.strip()} to {change.after}{where}"
    return f"change {text} to {text.replace(change.before, change.after)}{where}"


def _clash(clash: Clash) -> str:
    # A line may ask for several packages.
    asked = dict.fromkeys(map(requirement_text, sorted(clash.requirements, key=_reading)))
    lines = ["This cannot be had:" if len(asked) == 1 else "These do not go together:"]
    lines += [f"  {one}" for one in asked]
    reasons = [*clash.notes, *_facts(clash.facts)]
    if reasons:
        lines += ["because", *(f"  {reason}" for reason in reasons)]
    return "\n".join(lines)


def _reading(requirement: Requirement) -> tuple[bool, Origin]:
    """Lines in the order of their files, then options, then whoever else asked."""
    origin = requirement.origin
    return not origin.file, origin


def _fixes(fixes: Sequence[Fix]) -> str:
    if not fixes:
        return "No change of one to three lines mends this.\n"
    if len(fixes) == 1:
        return f"To mend it:\n  {fix_text(fixes[0])}\n"
    return "To mend it, one of:\n" + "".join(f"  {fix_text(fix)}\n" for fix in fixes)


def _by_fixes(clashes: Sequence[Clash]) -> list[tuple[tuple[Fix, ...], list[Clash]]]:
    """Clashes that are mended together stand together, in the order of the first of them."""
    grouped: dict[tuple[Fix, ...], list[Clash]] = {}
    for number, clash in enumerate(clashes):
        # Without a fix they only look alike.
        key = clash.fixes or (Fix(()),) * (number + 1)
        grouped.setdefault(key, []).append(clash)
    return [(group[0].fixes, group) for group in grouped.values()]


def _facts(facts: Sequence[Fact]) -> list[str]:
    """The facts with their rows; of many alike from one table the first ones and a count."""
    lines = []
    ordered = sorted(facts, key=_subject)
    for (table, _), found in groupby(ordered, key=_subject):
        rows: dict[str, list[Fact]] = {}
        for fact in found:
            rows.setdefault(fact.text, []).append(fact)
        texts = list(rows)
        shown = texts if len(texts) <= ALIKE + 1 else texts[:ALIKE]
        lines += [f"{text} {_place(table, [fact.row for fact in rows[text]])}" for text in shown]
        if len(shown) < len(texts):
            last = rows[texts[-1]][-1].key
            lines.append(f"and {len(texts) - len(shown)} more like these, to {last} [{table}]")
    return lines


def _subject(fact: Fact) -> tuple[str, str]:
    """What a fact is about: its table, or of an index the package."""
    return fact.table, "" if fact.row else fact.key.partition(" ")[0]


def _place(table: str, rows: Sequence[int]) -> str:
    """Where facts stand; those of a package index stand in no row."""
    numbers = ", ".join(str(row) for row in rows if row)
    return f"[{table}:{numbers}]" if numbers else f"[{table}]"


def _link(link: Link, package: str) -> str:
    subject = "" if link.package == package else f"{link.package}: "
    if isinstance(link.reason, Requirement):
        return f"{subject}{requirement_text(link.reason)}"
    return f"{subject}{link.reason.text} {_place(link.reason.table, [link.reason.row])}"


def _together(refusals: Iterable[Refusal]) -> list[Refusal]:
    """Refusals that read alike, but for the versions in them, as one; in the order of the first."""
    # Whoever has refusals has loaded their module; a resolution is told without it.
    from .why import Refusal

    alike: dict[object, list[Refusal]] = {}
    for one in refusals:
        shapes = tuple(sorted(_VERSION.sub("", fact.text) for fact in one.facts))
        alike.setdefault((one.requirements, one.preferred, shapes), []).append(one)
    return [
        Refusal(
            tuple(label for one in group for label in one.labels),
            group[0].requirements,
            tuple(sorted({fact for one in group for fact in one.facts})),
            group[0].preferred,
        )
        for group in alike.values()
    ]


def _reasons(refusal: Refusal) -> list[str]:
    # One line of the user's may ask for several packages, one wish may be settled in two steps.
    return list(
        dict.fromkeys(
            [
                *(requirement_text(one) for one in refusal.requirements),
                *_facts(refusal.facts),
                *(preferred_text(one) for one in refusal.preferred),
            ]
        )
    )


_WISHES: dict[Preference, str] = {
    "newest": "the newest",
    "newest-release": "the newest",
    "oldest": "the oldest",
    "oldest-release": "the oldest",
    "smallest": "the smallest",
    "absent": "no",
    "present": "any",
}


def _span(labels: Sequence[str]) -> str:
    if len(labels) <= ALIKE:
        return ", ".join(labels)
    return f"{labels[0]} to {labels[-1]} ({len(labels)} of them)"


def _origins_text(origins: Sequence[Origin]) -> str:
    written = [origin for origin in origins if origin.file] or list(origins)
    more = len(written) - 1
    first = origin_text(written[0]) if written else "-"
    return f"{first} and {more} more" if more else first


def _images(build: BaseImage, runtime: BaseImage) -> list[str]:
    if build.ref == runtime.ref:
        return [f"base image: {build.ref}"]
    return [f"build image:   {build.ref}", f"runtime image: {runtime.ref}"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
