"""Two network namespaces, the links into them, and their resolvers; made by a test and removed by it.

Addresses are from 198.18.0.0/15, which RFC 2544 keeps for tests; each test process has 16 of them to itself.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

PREFIX = "netfaults-"
RESOLVERS = Path("/etc/netns")
BLOCK = ipaddress.ip_network("198.18.0.0/15")
PER_PROCESS = 16


def run(*words: str) -> str:
    """One command; what it prints. Raises `CalledProcessError` with its complaint."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
    return done.stdout


def obstacle() -> str | None:
    """Why namespaces cannot be made here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "iproute2 is not installed (make test installs it)"
    name = f"{PREFIX}{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "exec", name, "true")
    except subprocess.CalledProcessError as error:
        return f"network namespaces cannot be made here: {error.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


@dataclass(frozen=True)
class Room:
    """One namespace. `link` is its address on the link with the faults, `door` where people reach it."""

    name: str
    link: str
    door: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What stands before a command that shall run there."""
        return ("ip", "netns", "exec", self.name)


class Rooms:
    """The station's namespace and the cloud's, with a quiet veth pair to each for the people of the tests."""

    def __init__(self) -> None:
        """Makes both. Use `remove` at the end, also when this raises."""
        remove_orphans()
        number = os.getpid() % (BLOCK.num_addresses // PER_PROCESS)
        at = [str(BLOCK[number * PER_PROCESS + step]) for step in range(PER_PROCESS)]
        tag = f"{PREFIX}{os.getpid()}"
        self.station = Room(f"{tag}-station", at[1], at[6])
        self.cloud = Room(f"{tag}-cloud", at[2], at[10])
        self.devices = f"nfs{os.getpid() % 10**8}", f"nfc{os.getpid() % 10**8}"
        """Names of the two ends of the link, the station's first."""
        try:
            self._furnish(self.station, at[5], f"nfd{os.getpid() % 10**8}a")
            self._furnish(self.cloud, at[9], f"nfd{os.getpid() % 10**8}b")
        except BaseException:
            self.remove()
            raise

    def place_link(self) -> None:
        """Moves the two ends of the link, which are there by now, into the rooms and gives them addresses."""
        for room, device in zip((self.station, self.cloud), self.devices, strict=True):
            run("ip", "link", "set", device, "netns", room.name)
            run("ip", "-n", room.name, "addr", "add", f"{room.link}/30", "dev", device)
            run("ip", "-n", room.name, "link", "set", device, "up")

    def remove(self) -> None:
        """Takes everything away again."""
        for room in (self.station, self.cloud):
            _remove(room.name)

    def _furnish(self, room: Room, people: str, door: str) -> None:
        """Loopback, a door for people, and a resolver that asks the cloud's side of the link."""
        run("ip", "netns", "add", room.name)
        run("ip", "-n", room.name, "link", "set", "lo", "up")
        inner = f"{door}i"
        run("ip", "link", "add", door, "type", "veth", "peer", "name", inner, "netns", room.name)
        run("ip", "addr", "add", f"{people}/30", "dev", door)
        run("ip", "link", "set", door, "up")
        run("ip", "-n", room.name, "addr", "add", f"{room.door}/30", "dev", inner)
        run("ip", "-n", room.name, "link", "set", inner, "up")
        folder = RESOLVERS / room.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {self.cloud.link}\n")


def remove_orphans() -> None:
    """What a test process that was killed could not remove."""
    for line in run("ip", "netns", "list").splitlines():
        found = re.match(rf"{PREFIX}(\d+)-", line)
        if found and not Path(f"/proc/{found[1]}").exists():
            name = line.split()[0]
            for pid in run("ip", "netns", "pids", name).split():
                os.kill(int(pid), signal.SIGKILL)
            _remove(name)


def _remove(name: str) -> None:
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    shutil.rmtree(RESOLVERS / name, ignore_errors=True)
    if RESOLVERS.is_dir() and not any(RESOLVERS.iterdir()):
        RESOLVERS.rmdir()
