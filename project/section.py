"""Sections: mappings of a project file as frozen data, read key by key with every fault told.

A section is a class with a `key(...)` for each of its keys; a kind says how a value is read and
how it is shown. Which kinds of value there are stands in `values`, which sections in `cogyaml`.
Every start of cogpack reads a project, so this is plain code: a library for validation takes longer
to import than the versions take to solve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import (
    Any,
    ClassVar,
    Generic,
    NamedTuple,
    NoReturn,
    TypeVar,
    dataclass_transform,
    overload,
)

from ..errors import Fault, UserError

__all__ = [
    "Kind",
    "Refusal",
    "RefusedError",
    "Section",
    "as_data",
    "key",
    "keys",
    "path_text",
    "read_each",
    "refuse",
    "section",
    "written",
]

T = TypeVar("T")
SectionT = TypeVar("SectionT", bound="Section")
Step = TypeVar("Step", str, int)

_REQUIRED: Any = object()


class Refusal(NamedTuple):
    """What is wrong with a value, without its place in a file.

    message: what follows the value's path in the report. path: keys and indexes down to the value.
    unknown_to: the section that does not have the key, where that is the fault.
    """

    message: str
    hint: str = ""
    path: tuple[str | int, ...] = ()
    unknown_to: type[Section] | None = None

    def below(self, step: str | int) -> Refusal:
        """The refusal as the section or list says it that has the value at `step`."""
        return self._replace(path=(step, *self.path))


class RefusedError(Exception):
    """A value cannot be read; `refusals` holds everything that is wrong with it."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("; ".join(refusal.message for refusal in self.refusals))


def refuse(message: str, hint: str = "") -> NoReturn:
    """Raise the fault of a value. message: what follows the key's name in the report."""
    raise RefusedError([Refusal(message, hint)])


class Kind(NamedTuple, Generic[T]):
    """A kind of value: `read` takes it from a file or a library user, `shown` makes it JSON data.

    `read` raises RefusedError with everything that is wrong.
    """

    read: Callable[[object], T]
    shown: Callable[[T], object] = lambda value: value


class _Key(NamedTuple):
    kind: Kind[Any]
    default: Any


@overload
def key(kind: Kind[T]) -> T: ...
@overload
def key(kind: Kind[T], *, default: None) -> T | None: ...
@overload
def key(kind: Kind[T], *, default: T) -> T: ...
def key(kind: Kind[Any], *, default: object = _REQUIRED) -> Any:
    """A key of a section: its kind, and the value that it has when it is not written."""
    return _Key(kind, default)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(key,))
class Section:
    """A mapping: frozen, equal by its values, and an unknown key is a fault.

    Made from keyword arguments it checks them as it checks a file. Raises UserError with every
    fault.
    """

    _keys: ClassVar[Mapping[str, _Key]] = {}
    _written: frozenset[str]

    def __init_subclass__(cls) -> None:
        cls._keys = {name: one for name, one in vars(cls).items() if isinstance(one, _Key)}

    def __init__(self, **values: object) -> None:
        try:
            _fill(self, values)
        except RefusedError as error:
            raise UserError(
                Fault(f"{path_text(one.path)} {one.message}", hint=one.hint)
                for one in error.refusals
            ) from None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: a section is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._keys))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._keys)
        return f"{type(self).__name__}({shown})"


def keys(kind: type[Section]) -> tuple[str, ...]:
    """The names of a section's keys, in the order of its class."""
    return tuple(kind._keys)


def written(of: Section) -> frozenset[str]:
    """The names of the keys that were given, be it with their default."""
    return of._written


def as_data(of: Section) -> dict[str, Any]:
    """A section as JSON has it, every key in it; texts are shown without credentials."""
    values = ((name, one, getattr(of, name)) for name, one in of._keys.items())
    return {name: None if value is None else one.kind.shown(value) for name, one, value in values}


def section(
    kind: type[SectionT], prepared: Callable[[object], object] | None = None
) -> Kind[SectionT]:
    """The kind of value that is a section.

    prepared: turns what may stand in its place into the mapping itself.
    """

    def read(value: object) -> SectionT:
        if prepared is not None:
            value = prepared(value)
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            refuse("must be a mapping", f"its keys are {', '.join(keys(kind))}")
        made = kind.__new__(kind)
        _fill(made, value)
        return made

    return Kind(read, as_data)


def read_each(parts: Iterable[tuple[Step, Kind[Any], object]]) -> dict[Step, Any]:
    """Values read by their kinds, by where each stands: the name of a key or the index of an item.

    Raises RefusedError with the faults of all of them.
    """
    found: dict[Step, Any] = {}
    refusals: list[Refusal] = []
    for step, kind, value in parts:
        try:
            found[step] = kind.read(value)
        except RefusedError as error:
            refusals += (refusal.below(step) for refusal in error.refusals)
    if refusals:
        raise RefusedError(refusals)
    return found


def path_text(path: Iterable[str | int]) -> str:
    """A path as messages have it: `build.run[0].command`."""
    text = ""
    for step in path:
        separator = "." if text else ""
        text += f"[{step}]" if isinstance(step, int) else f"{separator}{step}"
    return text


def _fill(made: Section, values: Mapping[str, object]) -> None:
    defaults = {name: one.default for name, one in made._keys.items()}
    found = read_each(_parts(type(made), values))
    vars(made).update(defaults | found, _written=frozenset(values))


def _parts(
    kind: type[Section], values: Mapping[str, object]
) -> Iterator[tuple[str, Kind[Any], object]]:
    for name, one in kind._keys.items():
        value = values.get(name)
        if name in values and not (value is None and one.default is None):
            yield name, one.kind, value
        elif name not in values and one.default is _REQUIRED:
            yield name, _refusing(Refusal("is missing", f"add '{name}:'")), None
    for name in values:
        if name not in kind._keys:
            unknown = Refusal("is no key", f"the keys are {', '.join(keys(kind))}")
            yield name, _refusing(unknown._replace(unknown_to=kind)), None


def _refusing(refusal: Refusal) -> Kind[Any]:
    def read(_: object) -> NoReturn:
        raise RefusedError([refusal])

    return Kind(read)


def _compared(one: object) -> dict[str, object]:
    return {name: value for name, value in vars(one).items() if name != "_written"}
