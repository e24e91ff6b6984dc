"""Text that may be shown: URLs without their credentials, and the variables that a text names.

Nothing here expands a variable or looks at the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from msgspec import Struct

from ..errors import Fault

__all__ = [
    "MASK",
    "Url",
    "printable",
    "printable_faults",
    "quote_text",
    "redact",
    "variables",
]

MASK = "****"
LONGEST = 200
"""Characters of a quoted text; the rest tells a reader nothing more."""

# Names of variables as pip expands them in requirements files: POSIX's upper-case form.
_VARIABLE_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def variables(text: str) -> tuple[str, ...]:
    """The names in `${NAME}` references of a text, in order, each once."""
    found: dict[str, None] = {}
    for piece in text.split("${")[1:]:
        name, brace, _ = piece.partition("}")
        if brace and name and _VARIABLE_CHARACTERS.issuperset(name):
            found[name] = None
    return tuple(found)


def redact(text: str) -> str:
    """The text with the credentials of every URL in it replaced by `****`.

    User names, passwords and query values go; a `${NAME}` reference stays, it tells no secret.
    """
    if "://" not in text:
        return text
    shown, start = [], 0
    for end in range(1, len(text) + 1):
        if end == len(text) or text[end].isspace() != text[start].isspace():
            shown.append(_redact_word(text[start:end]))
            start = end
    return "".join(shown)


def quote_text(text: str) -> str:
    """A text as messages and origins show it: one printable line, short, without credentials."""
    first, *more = redact(text).strip().splitlines() or [""]
    short = printable(first[:LONGEST])
    return f"{short} …" if more or len(first) > LONGEST else short


def printable(text: str) -> str:
    """The text with every character escaped that could steer a terminal or cannot be encoded."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """The faults with printable words; keys and file names come into messages as written."""
    return tuple(
        replace(fault, message=printable(fault.message), hint=printable(fault.hint))
        for fault in faults
    )


class Url(Struct, frozen=True):
    """A URL as the user wrote it, variables unexpanded; printing it shows the redacted form.

    raw: the text itself; it may hold credentials and belongs in no plan, log or message.
    """

    raw: str

    @property
    def display(self) -> str:
        """The URL without credentials, for messages."""
        return redact(self.raw)

    @property
    def has_credentials(self) -> bool:
        """Whether the text itself holds credentials (a `${NAME}` reference does not)."""
        return self.display != self.raw

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that the URL refers to; they may hold secrets."""
        return variables(self.raw)

    @property
    def is_secret(self) -> bool:
        """Whether the URL needs a secret to be used: credentials in it, or a variable."""
        return self.has_credentials or bool(self.variables)

    def __str__(self) -> str:
        return self.display

    def __repr__(self) -> str:
        return f"Url({self.display!r})"


def _redact_word(word: str) -> str:
    head, separator, rest = word.partition("://")
    if not separator:
        return word
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    host, _, port = authority.partition(":")
    if "@" in authority:
        user, _, host = authority.rpartition("@")
        authority = f"{_redact_user(user, ssh=head.endswith('ssh'))}@{host}"
    elif port and not port.isdigit() and "@" in tail:
        # A password with an unescaped `/`, `?` or `#`: what looks like the host is its beginning.
        authority, tail = f"{MASK}@", tail.rpartition("@")[2]
    return f"{head}{separator}{authority}{_redact_word(_redact_query(tail))}"


def _redact_user(user: str, *, ssh: bool) -> str:
    _, _, password = user.partition(":")
    # A name is no secret beside a password that a variable holds; alone it may be a token.
    if (ssh and not password) or (password and _is_reference(password)):
        return user
    shown = [part if _is_reference(part) else MASK for part in user.split(":", 1)]
    return MASK if shown == [MASK] * len(shown) else ":".join(shown)


def _redact_query(tail: str) -> str:
    path, mark, query = tail.partition("?")
    if not mark or "#" in path:
        return tail
    query, hash_mark, fragment = query.partition("#")
    pairs = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        pairs.append(pair if not equals or _is_reference(value) else f"{name}={MASK}")
    return f"{path}?{'&'.join(pairs)}{hash_mark}{fragment}"


def _is_reference(text: str) -> bool:
    return not text or (text.startswith("${") and text.find("}") == len(text) - 1)
