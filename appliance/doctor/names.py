"""Asks the name servers of this machine one question each, to say which of them is silent (RFC 1035).

Names are looked up by the operating system; this is only for the evidence when that fails.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 3.0
MOST_SERVERS = 3
"""As many as the C library asks."""

_STUB = "127.0.0.53"
_FILES = ("etc/resolv.conf", "run/systemd/resolve/resolv.conf")
_ANSWERS = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}

Server = tuple[str, int]
"""Address and port."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One server's answer as RFC 1035 names it; None when none came, `failure` when it cannot be asked."""

    server: str
    answer: str | None = None
    failure: str = ""


def name_servers(root: Path = Path("/")) -> tuple[Server, ...]:
    """The servers that this machine asks; behind systemd-resolved's own address those that it asks."""
    for name in _FILES:
        found = _listed(root / name)
        if found and found != (_STUB,):
            return tuple((address, 53) for address in found[:MOST_SERVERS])
    return tuple((address, 53) for address in _listed(root / _FILES[0]))


def _listed(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    return tuple(each[1] for each in words if len(each) > 1 and each[0] == "nameserver")


async def ask(server: Server, name: str, patience: float = PATIENCE_S) -> Asked:
    """One question for the address of `name`. Takes `patience` seconds at most and raises nothing."""
    address, port = server
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        question = _question(number := secrets.randbits(16), name)
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            async with asyncio.timeout(patience):
                return await _exchange(asking, (address, port), question, number)
    except TimeoutError:
        return Asked(address)
    except OSError as error:
        return Asked(address, failure=error.strerror or str(error))
    except ValueError as error:
        return Asked(address, failure=str(error))


async def _exchange(asking: socket.socket, server: Server, question: bytes, number: int) -> Asked:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(asking, server)
    await loop.sock_sendall(asking, question)
    while True:
        answer = await loop.sock_recv(asking, 4096)
        if len(answer) >= 12 and answer[:2] == struct.pack(">H", number):
            code = answer[3] & 0x0F
            return Asked(server[0], _ANSWERS.get(code, f"RCODE {code}"))


def _question(number: int, name: str) -> bytes:
    """A query for A records, recursion desired. Raises `ValueError` for what is no host name."""
    labels = [label.encode("idna") for label in name.rstrip(".").split(".")]
    if any(not 1 <= len(label) <= 63 for label in labels):
        raise ValueError(f"{name!r} is no host name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + encoded + struct.pack(">HH", 1, 1)
