#!/usr/bin/env python3
"""Fails unless the end-to-end tests ran: `e2e_ran.py RESULTS.xml`, pytest's JUnit file.

tests/conftest.py leaves a property on each end-to-end test; a run that collected none, or skipped
one, says nothing about the builder.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET  # our own pytest wrote the file
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Read the results; return 0 when every end-to-end test passed and there was one."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    if not Path(arguments[0]).exists():
        print(f"{arguments[0]} is not there: pytest did not finish", file=sys.stderr)
        return 1
    cases = [
        case
        for case in ET.parse(arguments[0]).iter("testcase")  # noqa: S314
        if any(found.get("name") == "e2e" for found in case.iter("property"))
    ]
    missed = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in cases
        if any(case.find(verdict) is not None for verdict in ("skipped", "failure", "error"))
    ]
    for name in missed:
        print(f"end-to-end test did not pass: {name}", file=sys.stderr)
    if not cases:
        print("no end-to-end test ran", file=sys.stderr)
    if missed or not cases:
        return 1
    print(f"end-to-end tests: all {len(cases)} ran")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
