"""System packages by apt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .apt_snapshot import AptSnapshot, apt_snapshot
from .base import Block
from .layout import FIXED_TIME, quoted, script

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Apt"]

# What apt and dpkg write that differs from run to run and serves nobody in an image.
_NOISE = (
    "/var/log/apt",
    "/var/log/dpkg.log",
    "/var/log/alternatives.log",
    "/var/cache/ldconfig/aux-cache",
    "/var/cache/debconf",
)

# Nothing is known of the user's own base, and other systems than Debian's have other tools.
_NEEDS_APT = (
    "{ command -v apt-get >/dev/null || { echo 'the base image has no apt-get: system packages can "
    "be installed on Debian and Ubuntu only' >&2; exit 1; }; }"
)

# Mirrors stumble now and then; apt by itself gives up at once.
_RETRY = "-o Acquire::Retries=5"


class Apt(Block):
    """Installs `system_packages` of cog.yaml and what other parts of the image need.

    extra: further packages with who needs them.
    """

    name: ClassVar[str] = "apt"

    def __init__(self, extra: Iterable[tuple[str, Origin]] = ()) -> None:
        self._extra = tuple(extra)

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.system_packages)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        wanted = dict(self._extra) | {
            package.name: package.origin for package in project.system_packages
        }
        packages = sorted(wanted)
        if not packages:
            return
        snapshot = apt_snapshot(project)
        apt = " ".join(("apt-get", _RETRY, *(snapshot.options if snapshot else ())))
        # Without the mode an update that got no lists counts as done.
        update = f"{apt} -o APT::Update::Error-Mode=any update"
        install = parts.Exec(
            command=script(
                *([] if resolution.base_images.build.is_known else [_NEEDS_APT]),
                *(snapshot.commands if snapshot else ()),
                "touch /tmp/start",
                *(snapshot.updated(update) if snapshot else [update]),
                f"DEBIAN_FRONTEND=noninteractive {apt} "
                "install --yes --no-install-recommends " + quoted(packages),
                "rm -rf " + quoted(_NOISE),
                # dpkg gives a package's files their own times, and what it generates the clock's.
                f"find / -xdev -newer /tmp/start -exec touch -h -d @{FIXED_TIME} {{}} +",
            ),
            mounts=(
                parts.CacheMount(id="cogpack-apt", target="/var/cache/apt", sharing="locked"),
                parts.CacheMount(
                    id=_lists(snapshot), target="/var/lib/apt/lists", sharing="locked"
                ),
                parts.TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
            ),
        )
        title = f"install system packages: {' '.join(packages)}"
        because = [*wanted.values(), *([snapshot.origin] if snapshot else [])]
        built = composer.stage("system-deps", "apt", title, [install], because=because)
        if composer.one_base:
            composer.export("runtime", built)
        else:
            # apt rewrites dpkg's database, so its changes to one base do not fit another.
            composer.stage("runtime", "export:apt", title, [install], of="export", because=because)


def _lists(snapshot: AptSnapshot | None) -> str:
    """The cache of the lists: an update removes those of other sources, so each day has its own."""
    return f"cogpack-apt-lists-{snapshot.timestamp}" if snapshot else "cogpack-apt-lists"
