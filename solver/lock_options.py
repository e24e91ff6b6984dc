"""Options of the command line that shape the answer, as a lock remembers them.

The platform is one too, but every lock has one: it stands beside them. What is asked of one
locking only (a date, the cache, what is to move) is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import fields

__all__ = ["DEFAULT_PLATFORM", "LockOptions", "read_options"]

DEFAULT_PLATFORM = "linux/amd64"


class LockOptions(Struct, frozen=True):
    """What was asked for beside the project; the defaults are what nobody asked for.

    base_image, gpu, driver: as they were written. prefer: name of a policy.
    overrides: whether the known overrides take part.
    """

    base_image: str = ""
    gpu: str = ""
    driver: str = ""
    prefer: str = "newest"
    overrides: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """The options as they are written: `--gpu h100`; those with a default are left out."""
        return tuple(_word(name, value) for name, value in self.data.items())

    @property
    def data(self) -> Mapping[str, str | bool]:
        """Key of the lock -> value, for those without a default."""
        found: dict[str, str | bool] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name.replace("_", "-")] = value
        return found

    def differences(self, other: LockOptions) -> Iterator[tuple[str, str]]:
        """Each option that the other has not so: as it is here, and there.

        An option that nobody gave is `no --gpu`.
        """
        for field in fields(self):
            key = field.name.replace("_", "-")
            own, theirs = getattr(self, field.name), getattr(other, field.name)
            if own != theirs:
                yield _told(key, own), _told(key, theirs)


def _told(key: str, value: str | bool) -> str:
    return _word(key, value) if value != "" else f"no --{key}"


def _word(key: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return f"--known-{key}" if value else f"--no-{key}"
    return f"--{key} {value}"


def read_options(data: Mapping[str, object]) -> LockOptions:
    """The options of a lock's table. Raises ValueError for what is none of them."""
    known = {field.name.replace("_", "-"): field for field in fields(LockOptions)}
    found = {}
    for key, value in data.items():
        if key not in known or type(value) is not type(known[key].default):
            raise ValueError(f"{key} is no option of a lock")
        found[known[key].name] = value
    return LockOptions(**found)  # type: ignore[arg-type]  # each has its default's type
