"""The kinds of value in cog.yaml: how each is read and what makes it wrong.

A value comes as a `Scalar` with its raw text, or as plain Python data from a library user. Bounds
that Cog sets are those of Cog 0.23 (`pkg/config`, `pkg/wheels` of its source).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import TypeVar

from ..errors import Fault
from .redact import quote_text, redact
from .section import Kind, RefusedError, read_each, refuse
from .yaml import Scalar

__all__ = [
    "APT_PACKAGES",
    "COMMAND",
    "CUDA",
    "CUDNN",
    "FLAG",
    "IMAGE_NAME",
    "MAYBE_TEXT",
    "PYTHON_VERSION",
    "REPOSITORY_NAME",
    "SDK_VERSION",
    "TEXT",
    "USER_NAME",
    "VARIABLE",
    "WEIGHT_NAME",
    "WHOLE_NUMBER",
    "image_name_fault",
    "items",
    "show",
    "text_of",
]

T = TypeVar("T")

PYTHON_FLOOR = (3, 10)
CUDA_FLOOR = 11
SDK_FLOOR = "0.16.0"

# Of a whole number; no key has a use for more.
MAX_DIGITS = 9

# Bytes of one argument of a program, as in `sh -c COMMAND` (execve(2): MAX_ARG_STRLEN).
_MAX_COMMAND = 1 << 17

# Names that the image or its platform sets; Cog refuses them in `environment`.
RESERVED_VARIABLES = frozenset(
    {
        "HF_ENDPOINT",
        "HF_HUB_ENABLE_HF_TRANSFER",
        "LD_LIBRARY_PATH",
        "LIBRARY_PATH",
        "PATH",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "VIRTUAL_ENV",
    }
)
RESERVED_PREFIXES = ("CUDA_", "KUBERNETES_", "NVIDIA_", "NV_", "PGET_", "R8_", "REPLICATE_")

# Options of apt that hold here anyway; Cog hands its list to apt as it is, and people write them.
_APT_GIVEN = frozenset(
    {"--assume-yes", "--no-install-recommends", "--no-install-suggests", "--yes", "-q", "-qq", "-y"}
)

_DOCKERFILE_WORDS = frozenset({"ADD", "ARG", "COPY", "ENV", "FROM", "RUN", "USER", "WORKDIR"})

# Options of RUN in a Dockerfile, which is what Cog makes of a command.
_RUN_OPTIONS = {
    "--mount=type=secret": "write the command as 'command:', with the secret under 'mounts:'",
    "--mount=type=cache": "leave it out: pip and uv have caches that stay out of the layer",
    "--mount": "leave it out, or copy the file into the project",
    "--network": "leave it out, or use the option --network of cogpack",
    "--security": "leave it out",
}

# Words of YAML 1.1 that Cog's reader takes for a flag, in quotes too (go-yaml, decode.go).
_FLAG_WORDS = {
    **dict.fromkeys(("y", "Y", "yes", "on"), True),
    **dict.fromkeys(("n", "N", "no", "off"), False),
}

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LETTERS = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_APT = _LETTERS | frozenset("+-.:=~/*_")


def show(value: object) -> str:
    """A value in a message: short, in quotes, without credentials."""
    return f'"{quote_text(str(value))}"'


def text_of(value: object) -> str:
    """The raw text of a value; every scalar of YAML has one, whatever its kind."""
    if isinstance(value, Scalar):
        return value.text
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        refuse("must be one text, not a list", "write the value on the line of its key")
    if isinstance(value, dict):
        refuse(
            "must be a text, not a mapping",
            "put the text in quotes if it contains ': '",
        )
    if value is None:
        refuse("is empty", "write a value or remove it")
    return str(value)


def _filled(value: object) -> str:
    text = text_of(value)
    if not text.strip():
        refuse("is empty", "write a value or remove it")
    return text


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Scalar) and value.kind == "str" and value.text in _FLAG_WORDS:
        return _FLAG_WORDS[value.text]
    if not isinstance(value, Scalar) or value.kind != "bool":
        hint = "write true or false without quotes"
        refuse(f"is {show(text_of(value))}, not true or false", hint)
    return value.text.lower() in ("true", "yes", "on")


def _whole_number(value: object) -> int:
    text = text_of(value).strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_DIGITS:
        refuse(f"is {show(text)}, not a whole number")
    return int(text)


def _numbers(text: str) -> tuple[int, ...] | None:
    parts = text.split(".")
    if all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        return tuple(int(part) for part in parts)
    return None


def _python_version(value: object) -> str:
    text = _filled(value).strip()
    numbers = _numbers(text)
    if numbers is None or not 1 <= len(numbers) <= 3:
        refuse(f"is {show(text)}, not a version of Python", 'write it as "3.12" or "3.12.4"')
    if len(numbers) == 1:
        refuse(f"is {show(text)}, which names no minor version", 'write it as "3.12" or "3.12.4"')
    if numbers[:2] < PYTHON_FLOOR:
        floor = ".".join(str(number) for number in PYTHON_FLOOR)
        meant = "3.10" if text == "3.1" else floor
        hint = f'write "{meant}", in quotes' if text == "3.1" else f"use {floor} or newer"
        refuse(f"is {show(text)}, but the oldest Python that Cog supports is {floor}", hint)
    return text


def _cuda(value: object) -> str:
    text = _filled(value).strip()
    numbers = _numbers(text)
    if numbers is None or len(numbers) > 3:
        refuse(f"is {show(text)}, not a version of CUDA", 'write it as "12.4" or "12.4.1"')
    if len(numbers) == 1:
        refuse(f"is {show(text)}, which names no minor version", 'write it as "12.4" or "12.4.1"')
    if numbers[0] < CUDA_FLOOR:
        hint = f"use {CUDA_FLOOR}.0 or newer"
        refuse(f"is {show(text)}, but the oldest CUDA that Cog supports is {CUDA_FLOOR}", hint)
    return text


def _cudnn(value: object) -> str:
    text = _filled(value).strip()
    numbers = _numbers(text)
    if numbers is None or len(numbers) > 4:
        refuse(f"is {show(text)}, not a version of cuDNN", 'write it as "9" or "9.1"')
    return text


def _sdk_version(value: object) -> str:
    from packaging.version import Version

    text = _filled(value).strip()
    if text == "prerelease":
        return text
    try:
        version = Version(text)
    except ValueError:  # InvalidVersion, or more digits than Python reads
        hint = 'write a version as "0.18.0", or "prerelease"'
        refuse(f"is {show(text)}, not a version of the cog package", hint)
    if version < Version(SDK_FLOOR):
        message = f"is {show(text)}, but the oldest cog package that can be asked for is"
        refuse(f"{message} {SDK_FLOOR}", f"use {SDK_FLOOR} or newer")
    return text


def _command(value: object) -> str:
    text = _filled(value)
    if (size := len(text.encode())) >= _MAX_COMMAND:
        hint = "write it into a script of the project, and run that"
        refuse(f"is {size} bytes long, and Linux takes commands of less than {_MAX_COMMAND}", hint)
    first = text.split()[0]
    if first in _DOCKERFILE_WORDS:
        hint = f"leave {first} out" if first == "RUN" else "write a shell command"
        refuse(f"begins with {first}, a word of Dockerfiles", hint)
    for option, hint in _RUN_OPTIONS.items():
        if first.startswith(option) and first[len(option) :][:1] in ("", "=", ","):
            refuse(f"begins with {show(first)}, an option of Dockerfiles", hint)
    return text


def _apt_packages(value: object) -> str:
    names = [name for name in text_of(value).split() if name not in _APT_GIVEN]
    if {"apt", "apt-get"} & {*names} and "install" in names:
        refuse(f"is {show(text_of(value))}, a command", "write the names of the packages alone")
    for name in names:
        if name.startswith("-"):
            refuse(f"is {show(name)}: an option of apt, not a package", "remove it")
        if not _APT.issuperset(name) or name[0] not in _LETTERS:
            refuse(f"is {show(name)}, not the name of an apt package", "write one name an item")
    return " ".join(names)


def _variable(value: object) -> str:
    text = text_of(value)
    name, equals, _ = text.partition("=")
    if not equals or not name:
        refuse(f"is {show(text)}, not in the form NAME=value")
    if not _is_variable_name(name):
        hint = "use letters, digits and '_', with no digit in front"
        refuse(f"sets {show(name)}, which is no name of a variable", hint)
    if name in RESERVED_VARIABLES or name.startswith(RESERVED_PREFIXES):
        message = f"sets {name}, which the image or its platform sets itself"
        refuse(message, "remove it")
    if "\0" in text:
        refuse(f"sets {name} to a text with a zero byte")
    return text


def _is_variable_name(name: str) -> bool:
    return (_LETTERS | {"_"}).issuperset(name) and not name[0].isdigit()


def _separators(text: str) -> list[str] | None:
    """The runs of `.`, `_` and `-` between lower-case words; None when it is not such a name."""
    runs = ["".join(run) for is_word, run in groupby(text, _LOWER.__contains__) if not is_word]
    if not text or text[0] not in _LOWER or text[-1] not in _LOWER:
        return None
    return runs if all(frozenset("._-").issuperset(run) for run in runs) else None


def _path_component(text: str) -> bool:
    """Whether a text is one part of an image's path, by the grammar of image references."""
    runs = _separators(text)
    return runs is not None and all(run in (".", "_", "__") or set(run) == {"-"} for run in runs)


def _repository_fault(name: str) -> str:
    """What is wrong with an image name that has no tag; empty when nothing is."""
    host, slash, rest = name.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        server, _, port = host.partition(":")
        if ":" in host and not (port.isascii() and port.isdigit()):
            return f"has {show(host)} for a registry, which is no host and port"
        if not server or not (_LETTERS | frozenset(".-")).issuperset(server):
            return f"has {show(host)} for a registry, which is no host name"
        name = rest
    if name != name.lower():
        return f"is {show(name)}, but image names are lower-case"
    if not all(_path_component(part) for part in name.split("/")):
        return f"is {show(name)}, not an image name"
    return ""


def _split_image(text: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image reference."""
    name, _, digest = text.partition("@")
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    return (name[:colon], name[colon + 1 :], digest) if colon > 0 else (name, "", digest)


def _image_name(value: object) -> str:
    text = _filled(value).strip()
    name, tag, digest = _split_image(text)
    fault = _repository_fault(name)
    if fault:
        refuse(fault, 'write it as "name", "name:tag" or "registry.example/name:tag"')
    if (":" in text[len(name) :].partition("@")[0]) and not _is_tag(tag):
        refuse(f"has the tag {show(tag)}, which is no tag", "use letters, digits, '_', '.' and '-'")
    if "@" in text and not _is_digest(digest):
        refuse(f"has the digest {show(digest)}, which is no sha256 digest")
    return text


def _is_tag(tag: str) -> bool:
    allowed = (_LETTERS | frozenset("_.-")).issuperset(tag)
    return allowed and 0 < len(tag) <= 128 and tag[0] not in ".-"


def _is_digest(digest: str) -> bool:
    algorithm, _, digits = digest.partition(":")
    return (
        algorithm == "sha256" and len(digits) == 64 and frozenset("0123456789abcdef") >= {*digits}
    )


def _repository_name(value: object) -> str:
    text = _filled(value).strip()
    name, tag, digest = _split_image(text)
    if tag or digest:
        refuse(f"is {show(text)}, with a tag or a digest", f"write {show(name)}, or use 'image'")
    fault = _repository_fault(name)
    if fault:
        refuse(fault, 'write it as "registry.example/user/name"')
    return text


def _weight_name(value: object) -> str:
    text = _filled(value)
    runs = _separators(text)
    if runs is None or any(len(run) > 1 for run in runs):
        hint = "use lower-case letters and digits with single '-', '.' or '_': \"my-weights\""
        refuse(f"is {show(text)}, not a name of weights", hint)
    return text


def _user_name(value: object) -> str:
    text = _filled(value).strip()
    parts = text.split(":")
    if len(parts) > 2 or not all(part and (_LETTERS | {*"._-"}).issuperset(part) for part in parts):
        refuse(f"is {show(text)}, not a user", 'write it as "1000", "1000:1000" or "app"')
    return text


TEXT = Kind(_filled, redact)
FLAG = Kind(_flag)
WHOLE_NUMBER = Kind(_whole_number)
PYTHON_VERSION = Kind(_python_version)
CUDA = Kind(_cuda)
CUDNN = Kind(_cudnn)
SDK_VERSION = Kind(_sdk_version)
APT_PACKAGES = Kind(_apt_packages)
COMMAND = Kind(_command, redact)
MAYBE_TEXT = Kind(text_of, redact)
VARIABLE = Kind(_variable)
IMAGE_NAME = Kind(_image_name)
REPOSITORY_NAME = Kind(_repository_name)
WEIGHT_NAME = Kind(_weight_name)
USER_NAME = Kind(_user_name)


def items(kind: Kind[T], prepared: Callable[[object], object] | None = None) -> Kind[tuple[T, ...]]:
    """A list with items of one kind. prepared: turns what may stand in its place into the list."""

    def read(value: object) -> tuple[T, ...]:
        if prepared is not None:
            value = prepared(value)
        hint = "write each item on a line of its own behind '- '"
        if isinstance(value, Scalar | str):
            refuse("must be a list, not one text", hint)
        if isinstance(value, Mapping):
            refuse("must be a list, not a mapping", hint)
        if not isinstance(value, list | tuple):
            refuse("must be a list", hint)
        found = read_each((index, kind, item) for index, item in enumerate(value))
        return tuple(found.values())

    return Kind(read, lambda value: [kind.shown(item) for item in value])


def image_name_fault(text: str, option: str) -> Fault | None:
    """What is wrong with an image name that an option gives; None when nothing is."""
    try:
        IMAGE_NAME.read(text)
    except RefusedError as error:
        refusal = error.refusals[0]
        return Fault(f"{option} {text!r} {refusal.message}", hint=refusal.hint)
    return None
