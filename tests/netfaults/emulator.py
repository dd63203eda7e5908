"""The link emulator: a process that carries packets between two TUN devices, and spoils them on the way.

For kernels without netem. Each device is made here and then moved into a namespace; its file stays here.
Usage: python -m tests.netfaults.emulator CONTROL SEED DEVICE DEVICE
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import sys
from dataclasses import asdict, replace
from functools import partial
from random import Random
from typing import Any

from tests.netfaults.control import serve
from tests.netfaults.packets import Faults, Way

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
"""linux/if_tun.h"""
LARGEST = 65_536


def open_tun(name: str) -> int:
    """Makes a TUN device; its file descriptor, which does not block. Raises `OSError`."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Emulator:
    """Two devices and what happens between them."""

    def __init__(self, seed: int, names: list[str]) -> None:
        self._devices = [open_tun(name) for name in names]
        self._ways = [Way(Random(seed + number)) for number in range(2)]
        self._faults = Faults()

    async def start(self) -> None:
        """Begins to carry."""
        loop = asyncio.get_running_loop()
        for way, (source, target) in zip(self._ways, (self._devices, self._devices[::-1]), strict=True):
            loop.add_reader(source, self._carry, way, source, target)

    def obey(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Sets the faults that are named; all of them and the counts."""
        self._faults = replace(self._faults, **wish)
        counts = {"passed": [way.passed for way in self._ways], "lost": [way.lost for way in self._ways]}
        return asdict(self._faults) | counts

    def _carry(self, way: Way, source: int, target: int) -> None:
        try:
            packet = os.read(source, LARGEST)
        except OSError:  # the device is down or moves into its namespace
            return
        loop = asyncio.get_running_loop()
        leaves = way.departure(loop.time(), len(packet), self._faults)
        if leaves is not None:
            loop.call_at(leaves, partial(_put, target, packet))


def _put(target: int, packet: bytes) -> None:
    try:
        os.write(target, packet)
    except OSError:  # as on any wire: the other side is down, or its queue is full
        return


if __name__ == "__main__":
    emulator = Emulator(int(sys.argv[2]), sys.argv[3:5])
    asyncio.run(serve(sys.argv[1], emulator.obey, emulator.start))
