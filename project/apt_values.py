"""The kinds of value that say from which day system packages are taken."""

from __future__ import annotations

from .section import Kind, refuse
from .values import show, text_of

__all__ = ["SNAPSHOT_MIRROR", "TIMESTAMP"]

# As people write days and moments, and as apt does.
_FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%SZ")
_DAY = "write it as 2026-11-01 or 20261101T120000Z"
_EXAMPLE = "write it as https://mirror.example/archive/@PATH@/@SNAPSHOTID@/"


def _timestamp(value: object) -> str:
    from datetime import datetime

    text = text_of(value).strip()
    for form in _FORMS:
        try:
            # UTC, as apt has it; a zone would change nothing of what is written.
            moment = datetime.strptime(text, form)
        except ValueError:
            continue
        # strptime takes 2026111 for a day, too, and nobody knows which was meant.
        if moment.strftime(form) == text:
            return moment.strftime("%Y%m%dT%H%M%SZ")
    return refuse(f"is {show(text)}, not a day or a moment", _DAY)


def _snapshot_mirror(value: object) -> str:
    text = text_of(value).strip()
    if not text.startswith(("http://", "https://")) or text.split() != [text]:
        refuse(f"is {show(text)}, not a URL", _EXAMPLE)
    if "@" in text.split("/")[2]:
        refuse(f"is {show(text)}, with a credential or a variable for a host", _EXAMPLE)
    if "@SNAPSHOTID@" not in text:
        refuse(f"is {show(text)}, which has no place for the day", _EXAMPLE)
    return text


TIMESTAMP = Kind(_timestamp)
"""A moment as apt writes it: `20261101T000000Z`; a day is its beginning."""

SNAPSHOT_MIRROR = Kind(_snapshot_mirror)
"""A URL with apt's own variables `@PATH@` and `@SNAPSHOTID@`."""
