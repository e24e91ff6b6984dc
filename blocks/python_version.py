"""The Python interpreter of the image and the virtual environment in which all is installed."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from packaging.version import Version

from ..errors import UserError
from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..project.redact import Url
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import compile_library, compile_modules, uv_env
from .layout import (
    BARE_ENVIRONMENT,
    FIXED_TIME,
    PYTHON,
    PYTHON_HOME,
    SOURCE,
    STEADY_PYTHON,
    UV,
    UV_CACHE,
    VENV,
    script,
    settle_times,
    uv_mounts,
)
from .requirement_files import credential_fault

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["PythonVersion"]


# From this one on (CPython's gh-95299) Python brings no setuptools.
_WITHOUT_SETUPTOOLS = Version("3.12")

# Debian keeps the wheels of ensurepip elsewhere and says so.
_UNPACK_SETUPTOOLS = """\
import ensurepip, glob, os, sysconfig, zipfile
own = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or own
for wheel in glob.glob(os.path.join(folder, "setuptools-*.whl")):
    zipfile.ZipFile(wheel).extractall(sysconfig.get_path("purelib"))"""


class PythonVersion(Block):
    """Makes an empty virtual environment of the base's interpreter, or of one that uv fetches.

    A virtual environment keeps the base's packages out, works where the system's Python refuses
    packages from elsewhere (PEP 668), and gives every later layer one folder to write to.
    """

    name: ClassVar[str] = "python-version"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        asked = []
        if pin := project.python:
            exact = pin.version.count(".") > 1
            specifier = f"=={pin.version}" if exact else f"=={pin.version}.*"
            asked.append(Requirement("python", specifier, pin.origin))
        own = project.pyproject
        # A pyproject.toml beside cog.yaml may be there for tools alone, unless it is installed.
        counts = project.config is None or project.source == "pyproject"
        if counts and own and own.requires_python and own.requires_python_origin:
            asked.append(Requirement("python", own.requires_python, own.requires_python_origin))
        return tuple(asked) or (Requirement("python", "", self.origin),)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        _sources(project)  # a label holds them even where the base has a Python
        version = resolution["python"].version
        if "python" in resolution.base_images.build.provides:
            make = parts.Exec(
                command=_script(
                    *_check(project),
                    f"python3 -m venv --without-pip {VENV}",
                    *_setuptools(version, project),
                    *compile_library(project, f"{VENV}/pyvenv.cfg"),
                ),
                env=STEADY_PYTHON,
            )
        else:
            make = _managed(version, project)
        title = f"make the virtual environment for Python {version}"
        # It stands beside the system packages: a change of them makes no other environment.
        environment = composer.side_stage(
            "runtime",
            BARE_ENVIRONMENT,
            title,
            composer.environment_base,
            [
                make,
                parts.Env(name="VIRTUAL_ENV", value=VENV),
                parts.Env(name="PATH", value=f"{VENV}/bin", prepend=True),
            ],
            because=_because(project, resolution),
        )
        composer.stage("runtime", "venv", title, [parts.Layer(stage=environment.id)])
        composer.export("runtime", environment)
        composer.configure(parts.ExportConfig(env={"VIRTUAL_ENV": VENV}, path=(f"{VENV}/bin",)))


def _because(project: Project, resolution: Resolution) -> tuple[Origin, ...]:
    base = project.base_image
    stated = (base.origin,) if base and base.python else ()
    return (*resolution["python"].because, *stated)


def _check(project: Project) -> Iterator[str]:
    """What the user says of the Python in the base is looked at before it is built on."""
    base = project.base_image
    if base is None or not base.python:
        return
    count = base.python.count(".") + 1
    shown = f"'.'.join(map(str, sys.version_info[:{count}]))"
    yield (
        f'{{ test "$(python3 -c "import sys; print({shown})" 2>/dev/null)" = {base.python} || '
        f"{{ echo 'the python3 of the base image is not Python {base.python},' "
        f"'as cogpack.base_python has it:' \"$(python3 --version 2>&1)\" >&2; exit 1; }}; }}"
    )


def _setuptools(version: str, project: Project) -> tuple[str, ...]:
    """The commands, if any, that unpack the setuptools that an older Python brings.

    Its virtual environments and Docker's images of it have that, and packages of its time count on
    setuptools or pkg_resources without naming them.
    """
    if Version(version) >= _WITHOUT_SETUPTOOLS:
        return ()
    unpack = f"{PYTHON} -c {shlex.quote(_UNPACK_SETUPTOOLS)}"
    has_it = f"{PYTHON} -c 'import ensurepip' 2>/dev/null"
    return (f"if {has_it}; then\n  {unpack}\nfi", *compile_modules(project))


def _managed(version: str, project: Project) -> parts.Exec:
    """uv's own build of the interpreter, for a base that has none: NVIDIA's images, for one.

    What it downloads stays in the cache of the builder, so that another base fetches nothing anew.
    Its library is compiled as packages are: uv's builds bring no byte code.
    """
    sources = _sources(project)
    secrets = sorted({name for url, _ in sources.values() for name in url.variables})
    exports = [
        f"export {variable}={_expanded(url)}"
        for variable, (url, _) in sources.items()
        if url.variables
    ]
    plain = {name: url.raw for name, (url, _) in sources.items() if not url.variables}
    return parts.Exec(
        command=_script(
            *exports,
            f"{UV} python install --no-bin {version}",
            f"{UV} venv --no-project --managed-python --python {version} {VENV}",
            *_setuptools(version, project),
            # What uv keeps for the next install there.
            f"rm -rf {PYTHON_HOME}/.gitignore {PYTHON_HOME}/.lock {PYTHON_HOME}/.temp",
            made=(PYTHON_HOME, VENV),
        ),
        mounts=(*uv_mounts(), *(parts.SecretMount(id=name, env=name) for name in secrets)),
        env={
            **uv_env(project),
            "UV_PYTHON_CACHE_DIR": f"{UV_CACHE}/python",
            "UV_PYTHON_DOWNLOADS": "automatic",
            "UV_PYTHON_INSTALL_DIR": PYTHON_HOME,
            **plain,
        },
    )


def _sources(project: Project) -> dict[str, tuple[Url, Origin]]:
    """Where uv gets interpreters from, where the user says so, by the variable that tells uv.

    Raises UserError when a credential stands in one of them: the plan and the labels hold them.
    """
    if project.config is None:
        return {}
    options = project.config.cogpack
    found = {
        variable: (Url(value), project.config.origin(f"cogpack.{key}"))
        for variable, key, value in (
            ("UV_PYTHON_DOWNLOADS_JSON_URL", "python_downloads", options.python_downloads),
            ("UV_PYTHON_INSTALL_MIRROR", "python_mirror", options.python_mirror),
        )
        if value
    }
    faults = [credential_fault(origin) for url, origin in found.values() if url.has_credentials]
    if faults:
        raise UserError(faults)
    return found


def _expanded(url: Url) -> str:
    """The URL as a word of a shell that puts the values of its variables in."""
    text = shlex.quote(url.raw)
    for name in url.variables:
        reference = "${" + name + "}"
        text = text.replace(reference, f"'\"{reference}\"'")
    return text


def _script(*commands: str, made: tuple[str, ...] = (VENV,)) -> str:
    """The commands, and the fixed time for the folders that they make.

    What the base has beside these (toolkits, a conda) is not touched: the layer would have it too.
    """
    around = " ".join(dict.fromkeys((*map(posixpath.dirname, made), SOURCE)))
    return script(
        *commands,
        f"mkdir -p {SOURCE}",
        settle_times(*made),
        f"touch -h -d @{FIXED_TIME} {around}",
    )
