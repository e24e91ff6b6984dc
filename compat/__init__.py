"""The compatibility tables: which release of what goes with which release of what.

See README.md beside the tables. `Tables.load()` gives access to them.
"""

from __future__ import annotations

from .tables import Tables

__all__ = ["Tables"]
