"""Asks the hotspot's services what a phone asks first: a name, and the page behind it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address

PATIENCE_S = 10.0
PAUSE_S = 0.2

_NAME = b"\6meteor\4test\0"
_QUESTION = _NAME + b"\0\1\0\1"
"""Type A, class IN (RFC 1035 §4.1.2)."""


async def trouble(own: IPv4Address, portal: str, port: int) -> str:
    """What does not answer within `PATIENCE_S`, as a sentence; empty when all does.

    `own` is where names are asked, `portal` the address that every name has, `port` where it listens.
    """
    if not await _within_patience(lambda: _leads_to(str(own), portal)):
        return f"no name leads to {portal} at {own}, port 53"
    if not await _within_patience(lambda: _serves(portal, port)):
        return f"the setup page does not answer at {portal}, port {port}"
    return ""


async def _within_patience(works: Callable[[], Awaitable[bool]]) -> bool:
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not await works():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(PAUSE_S)
    return True


async def _leads_to(server: str, portal: str) -> bool:
    """Whether a name, any, has the portal's address."""
    loop = asyncio.get_running_loop()
    number = secrets.token_bytes(2)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
        contextlib.suppress(OSError, TimeoutError),
    ):
        asking.setblocking(False)
        async with asyncio.timeout(1.0):
            await loop.sock_connect(asking, (server, 53))
            await loop.sock_sendall(asking, number + b"\1\0\0\1\0\0\0\0\0\0" + _QUESTION)
            answer = await loop.sock_recv(asking, 512)
            return answer[:2] == number and answer.endswith(IPv4Address(portal).packed)
    return False


async def _serves(address: str, port: int) -> bool:
    """Whether somebody there speaks HTTP; what it says does not matter."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(3.0):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(
                    b"HEAD /selftest HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % address.encode()
                )
                return (await reader.readline()).startswith(b"HTTP/1.")
            finally:
                writer.close()
    return False
