"""The builder's life: configure, start, stop and describe dockerd, its relay and its registry.

There is one on a machine (see layout). Base images are not made here.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from . import debian, network, probe, services
from .layout import RUN, SetupError, cache, exclusive, say
from .packages import Programs, programs

__all__ = ["RUN", "Daemon", "running", "start", "stop"]

_DOCKER = RUN / "docker.sock"
_BUILDKIT = RUN / "buildkit.sock"
_RECORD = RUN / "daemon.json"
_LOCK = RUN / "lock"
_EXEC = RUN / "exec"
_REGISTRY_PORT = 5055
_CACHE_KEPT = "30GB"
_NAMES = {"dockerd", "containerd", "containerd-shim-runc-v2", "docker-registry"}


@dataclass(frozen=True)
class Daemon:
    """The running builder, as it is written down for every later caller.

    data: its folder of images and caches. registry: host:port, also the mirror of docker.io.
    """

    data: str
    bin: str
    registry: str
    bridged: bool
    docker_host: str = f"unix://{_DOCKER}"
    buildkit_host: str = f"unix://{_BUILDKIT}"

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
    if os.geteuid() != 0:
        raise SetupError(
            "the builder needs root; or start a daemon of your own and set DOCKER_HOST"
            " or BUILDKIT_HOST"
        )
    with exclusive(_LOCK):
        if daemon := running():
            return daemon
        _clear()
        found = programs()
        plan = network.prepare(found)
        if not plan.bridged:
            say(f"no network for build steps except `network: host`: {plan.why_not}")
        data = cache() / "daemon"
        daemon = Daemon(str(data), str(found.bin), f"127.0.0.1:{_free_port()}", plan.bridged)
        for service in _services(daemon, found, plan):
            services.start(service)
        _RECORD.write_text(json.dumps(asdict(daemon), indent=1) + "\n", encoding="utf-8")
        say(f"dockerd of Debian {found.suite} serves at {daemon.docker_host}")
        return daemon


def stop() -> None:
    """Stop the builder and remove its sockets, mounts and bridge; its data stay."""
    with exclusive(_LOCK):
        _clear()


def _recorded() -> Daemon | None:
    """Return the daemon that was written down, whether it still runs or not."""
    with suppress(OSError, ValueError, TypeError):
        return Daemon(**json.loads(_RECORD.read_text(encoding="utf-8")))
    return None


def _services(daemon: Daemon, found: Programs, plan: network.Network) -> list[services.Service]:
    """Write the configuration files and return the processes to run, in their order."""
    data = Path(daemon.data)
    for folder in (data / "docker", data / "registry", _EXEC):
        folder.mkdir(parents=True, exist_ok=True)
    if debian.run(["stat", "--file-system", "--format=%T", data]).strip() == "overlayfs":
        say(f"{data} lies on overlayfs, where dockerd may make no layers; set XDG_CACHE_HOME")
    for name, settings in (("dockerd", _dockerd(daemon, plan)), ("registry", _registry(daemon))):
        (RUN / f"{name}.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    env = {**os.environ, "PATH": found.path, "OTEL_TRACES_EXPORTER": "none"}
    relay = [sys.executable, "-m", "devdaemon.relay"]
    relay += ["--listen", str(_BUILDKIT), "--docker", str(_DOCKER)]
    if plan.bridged and plan.resolver:
        relay += ["--names", str(network.ADDRESS.ip), plan.resolver]
    home = str(Path(__file__).resolve().parents[1])
    return [
        services.Service(
            "dockerd",
            [found.bin / "dockerd", "--config-file", RUN / "dockerd.json"],
            env,
            RUN,
            lambda: probe.docker_answers(daemon.docker_host),
        ),
        services.Service(
            "relay",
            relay,
            {**env, "PYTHONPATH": home},
            RUN,
            lambda: probe.buildkit_answers(daemon.buildkit_host),
        ),
        services.Service(
            "registry",
            [found.bin / "docker-registry", "serve", RUN / "registry.json"],
            env,
            RUN,
            lambda: probe.http_status(f"tcp://{daemon.registry}", "/v2/") == 200,
        ),
    ]


def _dockerd(daemon: Daemon, plan: network.Network) -> dict[str, object]:
    """Return dockerd's configuration file."""
    settings: dict[str, object] = {
        "hosts": [daemon.docker_host],
        "data-root": f"{daemon.data}/docker",
        "exec-root": str(_EXEC),
        "pidfile": str(RUN / "dockerd.own.pid"),
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


def _free_port() -> int:
    """Return the registry's usual port on loopback, or a free one when another program has it."""
    for port in (_REGISTRY_PORT, 0):
        with socket.socket() as probing, suppress(OSError):
            probing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probing.bind(("127.0.0.1", port))
            return int(probing.getsockname()[1])
    raise SetupError("no free port on 127.0.0.1 for the registry")


def _clear() -> None:
    """End what is left of a daemon, whether it was stopped, killed or half started."""
    for name in ("relay", "dockerd", "registry"):
        services.stop(services.Service(name, (), {}, RUN, lambda: True))
    # dockerd ends its containerd and shims; one that was killed has left them.
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_ours(int(entry.name)):
            services.kill(int(entry.name))
    recorded = _recorded()
    data = recorded.data if recorded else cache() / "daemon"
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    points = sorted((line.split()[1] for line in mounts), reverse=True)
    for point in points:
        if point.startswith((f"{RUN}/", f"{data}/")):
            subprocess.run(["umount", "--lazy", point], check=False, stderr=subprocess.DEVNULL)
    network.remove()
    for entry in RUN.iterdir():
        if entry != _LOCK:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _is_ours(pid: int) -> bool:
    """Tell whether a process is a program of this daemon: by its name and by our folder in it."""
    line = services.command_line(pid)
    return Path(line.split(" ", 1)[0]).name in _NAMES and f"{RUN}/" in line
