"""The private bridge on which build steps and containers reach the network.

The bridge is made with the kernel's own calls, for a bare Debian has no `ip`. Address translation
is dockerd's work, by iptables; this file only tells whether that can be had.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .packages import Programs

__all__ = ["ADDRESS", "BRIDGE", "NONE", "Network", "prepare", "remove", "resolvers"]

# Not docker0: any dockerd that is started without a network deletes a bridge of that name.
BRIDGE = "cogpack0"
ADDRESS = ipaddress.ip_interface("172.30.238.1/24")

# <linux/sockios.h>
_SIOCSIFADDR = 0x8916
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFNETMASK = 0x891C
_SIOCGIFMTU = 0x8921
_SIOCSIFHWADDR = 0x8924
_SIOCBRADDBR = 0x89A0
_SIOCBRDELBR = 0x89A1
_IFF_UP = 1

# <linux/if_arp.h>
_ARPHRD_ETHER = 1

# Locally administered (IEEE 802): 02:42, as Docker has it, and the four bytes of ADDRESS.
_HARDWARE_ADDRESS = b"\x02\x42" + ADDRESS.packed


@dataclass(frozen=True)
class Network:
    """What dockerd is told about the network.

    bridged: build steps have a network of their own; without it only `network: host` steps reach
    anything. mtu: bytes, of the machine's default route. resolver: the machine's only name server
    is one that a container cannot reach, so queries go by a relay on the bridge to this address.
    """

    bridged: bool
    mtu: int
    resolver: str
    why_not: str = ""


NONE = Network(bridged=False, mtu=0, resolver="")
"""No bridge and no rules of the packet filter, for a dockerd beside another one."""


def prepare(programs: Programs) -> Network:
    """Make the bridge if the kernel and its packet filter allow one; say why when they do not."""
    reachable, hidden = resolvers(Path("/etc/resolv.conf").read_text(encoding="utf-8"))
    resolver = "" if reachable or not hidden else hidden[0]
    refusal = _filter_refusal(programs) or _make_bridge()
    return Network(not refusal, _mtu(), resolver, refusal)


def remove() -> None:
    """Delete the bridge, if it is there."""
    if _exists():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control, suppress(OSError):
            _set_flags(control, up=False)
            fcntl.ioctl(control, _SIOCBRDELBR, BRIDGE.encode() + b"\0")


def resolvers(text: str) -> tuple[list[str], list[str]]:
    """Split the name servers of a resolv.conf into those that a container reaches and the others.

    A server on the machine's loopback is another machine's loopback inside a container, and the
    bridge carries IPv4 only.
    """
    reachable: list[str] = []
    hidden: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            address = ipaddress.ip_address(words[1].split("%")[0])
            kept = address.version == ADDRESS.version and not address.is_loopback
            (reachable if kept else hidden).append(words[1])
    return reachable, hidden


def _filter_refusal(programs: Programs) -> str:
    """Return why there can be no address translation, or nothing."""
    done = subprocess.run(
        ["iptables", "-t", "nat", "-S"],
        env={"PATH": programs.path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() or "iptables failed" if done.returncode else ""


def _make_bridge() -> str:
    """Make and address the bridge; return why that is refused, or nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            if not _exists():
                fcntl.ioctl(control, _SIOCBRADDBR, BRIDGE.encode() + b"\0")
            # A bridge without an address of its own takes the lowest of its ports', and so another
            # whenever a container comes or goes: those that run lose it for up to a minute.
            hardware = struct.pack("=16sH6s16x", BRIDGE.encode(), _ARPHRD_ETHER, _HARDWARE_ADDRESS)
            fcntl.ioctl(control, _SIOCSIFHWADDR, hardware)
            fcntl.ioctl(control, _SIOCSIFADDR, _request(str(ADDRESS.ip)))
            fcntl.ioctl(control, _SIOCSIFNETMASK, _request(str(ADDRESS.netmask)))
            _set_flags(control, up=True)
    except OSError as error:
        return f"the bridge {BRIDGE} cannot be made: {error}"
    return ""


def _exists() -> bool:
    return BRIDGE in (name for _, name in socket.if_nameindex())


def _request(address: str) -> bytes:
    """Return a struct ifreq that carries an IPv4 address for the bridge."""
    where = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
    return struct.pack("16s24s", BRIDGE.encode(), where)


def _set_flags(control: socket.socket, *, up: bool) -> None:
    """Set the bridge up or down."""
    asked = struct.pack("16s24x", BRIDGE.encode())
    (flags,) = struct.unpack_from("=H", fcntl.ioctl(control, _SIOCGIFFLAGS, asked), 16)
    flags = flags | _IFF_UP if up else flags & ~_IFF_UP
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", BRIDGE.encode(), flags))


def _mtu() -> int:
    """Return the MTU in bytes of the default route's device; Ethernet's where there is none."""
    routes = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
    for device, destination, *_ in (line.split() for line in routes):
        if destination == "00000000":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                asked = struct.pack("16s24x", device.encode())
                (mtu,) = struct.unpack_from("=i", fcntl.ioctl(control, _SIOCGIFMTU, asked), 16)
                return int(mtu)
    return 1500
