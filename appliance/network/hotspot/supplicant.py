"""Listens at wpa_supplicant's control socket, which tells who came with a wrong key; it asks nothing.

NetworkManager's D-Bus and the supplicant's have no such word. Debian's service opens the socket for every
interface (`-O`); root and the group `netdev` may use it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

FOLDER = Path("/run/wpa_supplicant")
ANSWER_S = 5.0
EVENT_BYTES = 4096


class NotListening(Exception):
    """There is no such socket, or nobody answers at it; the text says which."""


async def listen(interface: str, heard: Callable[[str], None], folder: Path = FOLDER) -> None:
    """Hands every event of the interface to `heard`, until cancelled. Raises `NotListening`."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.setblocking(False)
        ours.bind("")  # a name of its own in Linux' abstract space, so that no file is left
        try:
            ours.connect(str(folder / interface))
            async with asyncio.timeout(ANSWER_S):
                await loop.sock_sendall(ours, b"ATTACH")
                answer = await loop.sock_recv(ours, EVENT_BYTES)
            if answer != b"OK\n":
                raise NotListening(f"{folder / interface}: it refuses")
            while event := await loop.sock_recv(ours, EVENT_BYTES):
                heard(event.decode("utf-8", "replace"))
        except TimeoutError:
            raise NotListening(f"{folder / interface}: no answer") from None
        except OSError as error:
            raise NotListening(f"{folder / interface}: {error.strerror}") from None
        raise NotListening(f"{folder / interface}: it is closed")
