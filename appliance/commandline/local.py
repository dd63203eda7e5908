"""Talks to the running station over its Unix sockets."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from appliance.commandline.exits import CommandFailed, Exit


class NotRunning(Exception):
    """There is no station behind the socket."""


async def call(socket: Path, method: str, path: str, **kwargs: Any) -> tuple[int, dict[str, Any]]:
    """One request to the station: status and JSON answer. Raises `NotRunning` or `CommandFailed`."""
    if not socket.exists():
        raise NotRunning
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as session,
            session.request(method, f"http://station{path}", **kwargs) as response,
        ):
            body = await response.read()
    except (aiohttp.ClientConnectorError, ConnectionError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and error.errno in (errno.EACCES, errno.EPERM):
            hint = "Run it as the user of the station, or as root."
            raise CommandFailed(Exit.PERMISSION, f"You may not open {socket}.", hint) from None
        raise NotRunning from None
    except aiohttp.ClientError as error:
        raise CommandFailed(Exit.UNREACHABLE, f"The station did not answer: {error}") from None
    try:
        return response.status, msgspec.json.decode(body) if body else {}
    except msgspec.DecodeError:
        hint = "Command and station are of different versions: restart the station."
        text = f"The station does not know this question (HTTP {response.status})."
        raise CommandFailed(Exit.FAILED, text, hint) from None
