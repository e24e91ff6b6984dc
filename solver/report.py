"""The JSON of `cogpack resolve`, a stable contract; docs/resolve.schema.json is its schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import Fault
from ..origin import Origin
from .conflict import Change, Clash, Conflict
from .requirement import Requirement
from .resolution import BaseImage, Choice, Resolution
from .text import preferred_text
from .universe import Candidate, Fact

if TYPE_CHECKING:
    from .why import Link, Why

__all__ = [
    "conflict_data",
    "dumps",
    "invalid_data",
    "resolution_data",
    "versions_data",
    "why_data",
]

Data = dict[str, object]


def dumps(data: Mapping[str, object]) -> str:
    """JSON text: same data, same bytes; ends with a newline."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def resolution_data(resolution: Resolution) -> Data:
    """`{"status": "resolved", ...}`, packages sorted by name."""
    packages: Data = {choice.package: _choice(choice) for choice in resolution}
    images = resolution.base_images
    packages["base_image"] = {"build": _image(images.build), "runtime": _image(images.runtime)}
    return {
        "status": "resolved",
        "packages": dict(sorted(packages.items())),
        "warnings": list(resolution.warnings),
    }


def conflict_data(conflict: Conflict) -> Data:
    """`{"status": "conflict", ...}`."""
    return {"status": "conflict", "conflicts": [_clash(clash) for clash in conflict.clashes]}


def invalid_data(faults: Iterable[Fault]) -> Data:
    """`{"status": "invalid", ...}`: the project cannot be read, so nothing was solved."""
    return {
        "status": "invalid",
        "errors": [
            {
                "message": fault.message,
                "file": fault.origin.file if fault.origin else "",
                "line": fault.origin.line if fault.origin else 0,
                "hint": fault.hint,
            }
            for fault in faults
        ],
    }


def versions_data(package: str, candidates: Sequence[Candidate]) -> Data:
    """`{"status": "versions", ...}`: every version of a package that is possible, newest first."""
    return {
        "status": "versions",
        "package": package,
        "versions": [
            {"version": one.label, "variant": one.variant, "index": one.index} for one in candidates
        ],
    }


def why_data(why: Why) -> Data:
    """`{"status": "explained", ...}`: the reasons for a package and what ruled out better ones."""
    return {
        "status": "explained",
        "package": why.package,
        "version": why.chosen.label if why.chosen else None,
        "because": [_link(link) for link in why.links],
        "refused": [
            {
                "versions": list(refusal.labels),
                "requirements": [_requirement(one) for one in refusal.requirements],
                "facts": [_fact(one) for one in refusal.facts],
                "preferred": [preferred_text(one) for one in refusal.preferred],
            }
            for refusal in why.refusals
        ],
    }


def _choice(choice: Choice) -> Data:
    shown: Data = {
        "version": choice.version,
        "variant": choice.variant,
        "index": choice.index,
        "because": [_origin(origin) for origin in choice.because],
    }
    return {**shown, "facts": choice.facts} if choice.facts else shown


def _image(image: BaseImage) -> str:
    return f"{image.ref}@{image.digest}" if image.digest else image.ref


def _origin(origin: Origin) -> Data:
    return {"text": origin.text or origin.asker, "file": origin.file, "line": origin.line}


def _clash(clash: Clash) -> Data:
    return {
        "requirements": [_requirement(one) for one in clash.requirements],
        "facts": [_fact(one) for one in clash.facts],
        "notes": list(clash.notes),
        "fixes": [{"changes": _changes(fix.changes)} for fix in clash.fixes],
    }


def _fact(fact: Fact) -> Data:
    return {"text": fact.text, "table": fact.table, "row": fact.row}


def _link(link: Link) -> Data:
    reason = link.reason
    told = _requirement(reason) if isinstance(reason, Requirement) else _fact(reason)
    return {"package": link.package, **told}


def _requirement(requirement: Requirement) -> Data:
    plain = f"{requirement.package}{requirement.specifier}"
    origin = requirement.origin
    return {
        "text": origin.text or plain,
        "file": origin.file,
        "line": origin.line,
        "package": requirement.package,
        "specifier": requirement.specifier,
    }


def _changes(changes: Sequence[Change]) -> list[Data]:
    return [
        {
            "package": change.requirement.package,
            "from": change.before,
            "to": change.after,
            "file": change.requirement.origin.file,
            "line": change.requirement.origin.line,
        }
        for change in changes
    ]
