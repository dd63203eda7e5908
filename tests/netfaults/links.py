"""The link between the two namespaces, of one of two kinds: our own emulator, or the kernel's netem."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.netfaults.control import Tool
from tests.netfaults.namespaces import PREFIX, Rooms, run

SEED = 20_260_101


class Link(Protocol):
    """Both directions are spoiled in the same way; what is not named is well."""

    def set(self, *, loss: float = 0.0, delay_s: float = 0.0, blackhole: bool = False) -> None:
        """`loss` is a share of the packets, `delay_s` is added to each way."""

    def lost(self) -> int:
        """Packets that were lost since the link was made, both ways together."""

    def close(self) -> None:
        """Ends what carries the packets."""


class TunLink:
    """Packets go through `emulator.py`."""

    def __init__(self, rooms: Rooms, folder: Path) -> None:
        self._tool = Tool(folder, "emulator", str(SEED), *rooms.devices)
        rooms.place_link()

    def set(self, *, loss: float = 0.0, delay_s: float = 0.0, blackhole: bool = False) -> None:
        self._tool.ask(loss=loss, delay_s=delay_s, blackhole=blackhole)

    def lost(self) -> int:
        return sum(self._tool.ask()["lost"])

    def close(self) -> None:
        self._tool.stop()
        assert "Traceback" not in self._tool.text(), self._tool.text()


class NetemLink:
    """A veth pair with the kernel's own emulator at both ends."""

    def __init__(self, rooms: Rooms, _folder: Path) -> None:
        self._ends = list(zip((rooms.station.name, rooms.cloud.name), rooms.devices, strict=True))
        run("ip", "link", "add", rooms.devices[0], "type", "veth", "peer", "name", rooms.devices[1])
        rooms.place_link()
        self.set()

    def set(self, *, loss: float = 0.0, delay_s: float = 0.0, blackhole: bool = False) -> None:
        percent = 100.0 if blackhole else loss * 100
        for room, device in self._ends:
            run(*f"tc -n {room} qdisc replace dev {device} root netem".split(), *_netem(percent, delay_s))

    def lost(self) -> int:
        return sum(_dropped(room, device) for room, device in self._ends)

    def close(self) -> None:
        """The pair goes with its namespaces."""


def _netem(percent: float, delay_s: float) -> list[str]:
    return ["loss", f"{percent:g}%", "delay", f"{delay_s * 1000:g}ms", "limit", "100000"]


def _dropped(room: str, device: str) -> int:
    """What `tc -s qdisc` counts, e.g. `Sent 84 bytes 1 pkt (dropped 3, overlimits 0 requeues 0)`."""
    text = run("tc", "-n", room, "-s", "qdisc", "show", "dev", device)
    return int(text.partition("(dropped ")[2].partition(",")[0])


KINDS: dict[str, Callable[[Rooms, Path], Link]] = {"tun": TunLink, "netem": NetemLink}


def obstacle(kind: str) -> str | None:
    """Why this kind of link is not possible here; None when it is."""
    return _tun_obstacle() if kind == "tun" else _netem_obstacle()


def _tun_obstacle() -> str | None:
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun cannot be used: {error.strerror}"
    return None


def _netem_obstacle() -> str | None:
    """Tried on the loopback of a namespace that is made for it."""
    name = f"{PREFIX}{os.getpid()}-netem"
    try:
        run("ip", "netns", "add", name)
        run(*f"tc -n {name} qdisc add dev lo root netem delay 1ms".split())
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        complaint = getattr(error, "stderr", None) or str(error)
        return f"this kernel has no netem: {complaint.strip().splitlines()[0]}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None
