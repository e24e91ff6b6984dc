"""The builder's life: configure, start, stop and describe dockerd, its relay and its registry.

There is one on a machine (see layout), and for a while a second one beside it, with empty caches.
Base images are not made here.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from . import debian, network, probe, services
from .layout import RUN, SetupError, cache, exclusive, is_held, say
from .packages import Programs, programs

__all__ = ["RUN", "Daemon", "dockerd_settings", "running", "second", "start", "stop"]

_RECORD = RUN / "daemon.json"
_LOCK = RUN / "lock"
_SECOND = "second-"
_ALIVE = "alive"
_REGISTRY_PORT = 5055
_CACHE_KEPT = "30GB"
_NAMES = {"dockerd", "containerd", "containerd-shim-runc-v2", "docker-registry"}


@dataclass(frozen=True)
class Daemon:
    """The running builder, as it is written down for every later caller.

    data: its folder of images and caches. registry: host:port, also the mirror of docker.io.
    bridged: whether its build steps have a network without `network: host`.
    run: its folder of sockets, logs and process ids.
    """

    data: str
    bin: str
    registry: str
    bridged: bool
    docker_host: str = f"unix://{RUN}/docker.sock"
    buildkit_host: str = f"unix://{RUN}/buildkit.sock"
    run: str = str(RUN)

    @classmethod
    def at(cls, run: Path, data: Path, bin: Path, port: int, *, bridged: bool) -> Daemon:  # noqa: A002
        """The daemon that keeps its sockets in `run` and its images in `data`."""
        return cls(
            str(data),
            str(bin),
            f"127.0.0.1:{port}",
            bridged,
            f"unix://{run}/docker.sock",
            f"unix://{run}/buildkit.sock",
            str(run),
        )

    @property
    def docker(self) -> Path:
        """The docker command that belongs to the daemon."""
        return Path(self.bin) / "docker"

    def serves(self) -> bool:
        """Tell whether all of it answers and its files are still there."""
        return (
            Path(self.data, "registry").is_dir()
            and self.docker.exists()
            and probe.docker_answers(self.docker_host)
            and probe.buildkit_answers(self.buildkit_host)
            and probe.http_status(f"tcp://{self.registry}", "/v2/") == 200
        )


def running() -> Daemon | None:
    """Return the daemon that runs on this machine, None when there is none or it is not whole."""
    daemon = _recorded()
    return daemon if daemon and daemon.serves() else None


def start() -> Daemon:
    """Return the machine's builder, starting what of it does not run.

    Raises SetupError where it cannot be had: not root, not Debian, dockerd refuses.
    """
    if daemon := running():
        return daemon
    _require_root()
    with exclusive(_LOCK):
        if daemon := running():
            return daemon
        _clear()
        found = programs()
        plan = network.prepare(found)
        if not plan.bridged:
            say(f"no network for build steps except `network: host`: {plan.why_not}")
        port = _free_port(_REGISTRY_PORT)
        daemon = Daemon.at(RUN, cache() / "daemon", found.bin, port, bridged=plan.bridged)
        for service in _services(daemon, found, plan):
            services.start(service)
        _RECORD.write_text(json.dumps(asdict(daemon), indent=1) + "\n", encoding="utf-8")
        say(f"dockerd of Debian {found.suite} serves at {daemon.docker_host}")
        return daemon


def stop() -> None:
    """Stop the builder and remove its sockets, mounts and bridge; its data stay."""
    with exclusive(_LOCK):
        _clear()


@contextmanager
def second() -> Iterator[Daemon]:
    """Another daemon while the context is open, with empty caches; nothing of it stays.

    It has no bridge: the packet filter is left to the first one, and its build steps reach the
    network with `network: host` alone.

    Raises SetupError where it cannot be had.
    """
    _require_root()
    found = programs()
    with _beside() as (run, data):
        daemon = Daemon.at(run, data, found.bin, _free_port(), bridged=False)
        try:
            for service in _services(daemon, found, network.NONE):
                services.start(service)
            yield daemon
        finally:
            _end(run, data)


@contextmanager
def _beside() -> Iterator[tuple[Path, Path]]:
    """The two folders of a second daemon, which nobody clears away while the context is open."""
    with ExitStack() as stack:
        # Whoever clears up meanwhile would take a folder that is not held yet for a leftover.
        with exclusive(_LOCK):
            run = Path(stack.enter_context(_temporary(RUN, _SECOND)))
            stack.enter_context(exclusive(run / _ALIVE))
        yield run, Path(stack.enter_context(_temporary(cache(), f"{run.name}-")))


def _temporary(parent: Path, prefix: str) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=prefix, dir=parent)


def _require_root() -> None:
    if os.geteuid() != 0:
        raise SetupError(
            "the builder needs root; or start a daemon of your own and set DOCKER_HOST"
            " or BUILDKIT_HOST"
        )


def _recorded() -> Daemon | None:
    """Return the daemon that was written down, whether it still runs or not."""
    with suppress(OSError, ValueError, TypeError):
        return Daemon(**json.loads(_RECORD.read_text(encoding="utf-8")))
    return None


def _services(daemon: Daemon, found: Programs, plan: network.Network) -> list[services.Service]:
    """Write the configuration files and return the processes to run, in their order."""
    data, run = Path(daemon.data), Path(daemon.run)
    for folder in (data / "docker", data / "registry", run / "exec"):
        folder.mkdir(parents=True, exist_ok=True)
    if debian.run(["stat", "--file-system", "--format=%T", data]).strip() == "overlayfs":
        say(f"{data} lies on overlayfs, where dockerd may make no layers; set XDG_CACHE_HOME")
    for name, settings in (
        ("dockerd", dockerd_settings(daemon, plan)),
        ("registry", _registry(daemon)),
    ):
        (run / f"{name}.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    env = {**os.environ, "PATH": found.path, "OTEL_TRACES_EXPORTER": "none"}
    relay = [sys.executable, "-m", "devdaemon.relay"]
    relay += ["--listen", str(run / "buildkit.sock"), "--docker", str(run / "docker.sock")]
    if plan.bridged and plan.resolver:
        relay += ["--names", str(network.ADDRESS.ip), plan.resolver]
    home = str(Path(__file__).resolve().parents[1])
    return [
        services.Service(
            "dockerd",
            [found.bin / "dockerd", "--config-file", run / "dockerd.json"],
            env,
            run,
            lambda: probe.docker_answers(daemon.docker_host),
        ),
        services.Service(
            "relay",
            relay,
            {**env, "PYTHONPATH": home},
            run,
            lambda: probe.buildkit_answers(daemon.buildkit_host),
        ),
        services.Service(
            "registry",
            [found.bin / "docker-registry", "serve", run / "registry.json"],
            env,
            run,
            lambda: probe.http_status(f"tcp://{daemon.registry}", "/v2/") == 200,
        ),
    ]


def dockerd_settings(daemon: Daemon, plan: network.Network) -> dict[str, object]:
    """Return dockerd's configuration file."""
    settings: dict[str, object] = {
        "hosts": [daemon.docker_host],
        "data-root": f"{daemon.data}/docker",
        "exec-root": f"{daemon.run}/exec",
        "pidfile": f"{daemon.run}/dockerd.own.pid",
        "features": {"containerd-snapshotter": True, "buildkit": True},
        "registry-mirrors": [f"http://{daemon.registry}"],
        "insecure-registries": [daemon.registry],
        "builder": {
            "gc": {"enabled": True, "defaultKeepStorage": _CACHE_KEPT},
            "entitlements": {"network-host": True},
        },
        "shutdown-timeout": 5,
        "ip6tables": False,
    }
    if not plan.bridged:
        return settings | {"bridge": "none", "iptables": False, "ip-masq": False}
    if plan.resolver:
        settings["dns"] = [str(network.ADDRESS.ip)]
    proxy = Path(daemon.bin) / "docker-proxy"
    return settings | {
        "bridge": network.BRIDGE,
        "mtu": plan.mtu,
        "userland-proxy": proxy.exists(),
        "userland-proxy-path": str(proxy) if proxy.exists() else "",
    }


def _registry(daemon: Daemon) -> dict[str, object]:
    """Return the registry's configuration file (JSON is YAML)."""
    return {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": f"{daemon.data}/registry"},
            "delete": {"enabled": True},
        },
        "http": {"addr": daemon.registry},
    }


def _free_port(wanted: int = 0) -> int:
    """Return the wanted port on loopback, or a free one when another program has it."""
    for port in (wanted, 0):
        with socket.socket() as probing, suppress(OSError):
            probing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probing.bind(("127.0.0.1", port))
            return int(probing.getsockname()[1])
    raise SetupError("no free port on 127.0.0.1 for the registry")


def _clear() -> None:
    """End what is left of the daemon and of second ones that were killed; not one that runs."""
    seconds = sorted(RUN.glob(f"{_SECOND}*"))
    alive = [run for run in seconds if is_held(run / _ALIVE)]
    recorded = _recorded()
    _end(RUN, Path(recorded.data) if recorded else cache() / "daemon", spared=alive)
    network.remove()
    for left in cache().glob(f"{_SECOND}*"):
        if not any(left.name.startswith(f"{run.name}-") for run in alive):
            _unmount(left)
            shutil.rmtree(left)
    for entry in RUN.iterdir():
        if entry != _LOCK and entry not in alive:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _end(run: Path, data: Path, spared: Collection[Path] = ()) -> None:
    """End the processes that have `run` in their command line, and unmount both folders.

    spared: folders in `run` whose processes and mounts stay.
    """
    for name in ("relay", "dockerd", "registry"):
        services.stop(services.Service(name, (), {}, run, lambda: True))
    # dockerd ends its containerd and shims; one that was killed has left them.
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _belongs(int(entry.name), run, spared):
            services.kill(int(entry.name))
    _unmount(run, spared)
    _unmount(data)


def _unmount(folder: Path, spared: Collection[Path] = ()) -> None:
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    for point in sorted((line.split()[1] for line in mounts), reverse=True):
        if point.startswith(f"{folder}/") and not any(
            point.startswith(f"{one}/") for one in spared
        ):
            subprocess.run(["umount", "--lazy", point], check=False, stderr=subprocess.DEVNULL)


def _belongs(pid: int, run: Path, spared: Collection[Path]) -> bool:
    """Tell whether a process is a program of a daemon: by its name and by the folder in it."""
    line = services.command_line(pid)
    if any(f"{one}/" in line for one in spared):
        return False
    return Path(line.split(" ", 1)[0]).name in _NAMES and f"{run}/" in line
