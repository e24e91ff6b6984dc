"""What a daemon can compile of LLB, as far as daemons differ in it.

How a daemon is asked lives in `llb.client.gateway`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["Capabilities"]


@dataclass(frozen=True)
class Capabilities:
    """The parts of LLB that not every daemon has; by default all, as BuildKit 0.20 has them.

    diff, merge: absent where dockerd keeps images in its classic graph driver store.
    file_replace: a copy can put a file in the place of a folder (BuildKit 0.14 or newer).
    file_symlink: a FileOp can make a symbolic link (BuildKit 0.20 or newer).
    """

    diff: bool = True
    merge: bool = True
    file_replace: bool = True
    file_symlink: bool = True

    @classmethod
    def of(cls, enabled: Collection[str]) -> Capabilities:
        """From the LLB capabilities that a daemon reports as enabled (solver/pb/caps.go)."""
        return cls(
            diff="diffop" in enabled,
            merge="mergeop" in enabled,
            file_replace="file.copy.alwaysreplaceexistingdestpaths" in enabled,
            file_symlink="file.symlink.create" in enabled,
        )
