"""The look at the running station from outside: through its doors, as programs and people reach it."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import msgspec

from firmware.update.sight import Sight

PATIENCE_S = 5.0
MOST_BYTES = 64 * 1024


def look(control: Path, portal: tuple[str, int], *, alive: bool) -> Sight:
    """What can be seen now; takes up to a few seconds and never fails.

    A station of an older version does not know the question at its control socket: that it answers is seen.
    """
    said = _ask(_Unix(control), "/well")
    page = _ask(http.client.HTTPConnection(*portal, timeout=PATIENCE_S), "/health")
    known = said if isinstance(said, dict) else {}
    fields = {name: known[name] for name in Sight.__struct_fields__ if name in known}
    told = {"alive": alive, "control": said is not None, "portal": page is not None}
    try:
        return msgspec.convert(fields | told, Sight)
    except msgspec.ValidationError:
        return msgspec.convert(told, Sight)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("station", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self._path))


def _ask(connection: http.client.HTTPConnection, path: str) -> Any:
    """The answer as JSON, empty when it is none; None when nobody answers."""
    try:
        connection.request("GET", path)
        body = connection.getresponse().read(MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        return json.loads(body)
    except ValueError:
        return {}
