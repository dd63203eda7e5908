"""Releases from a web server. Nothing that it says is believed; TLS only hides what is asked."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator

from firmware.update.reasons import Refused, because

PATIENCE_S = 30.0
_PIECE = 1 << 18


class WebSource:
    """The folder of releases below an address."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    def read(self, name: str, most: int) -> bytes | None:
        """A small file, None if there is none."""
        try:
            with self._open(name, 0) as response:
                data: bytes = response.read(most + 1)
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return None
            raise _away(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise _away(error) from None
        if len(data) > most:
            raise Refused(because("UPD-003", field="$", detail=f"{name} has more than {most} bytes"))
        return data

    def stream(self, name: str, offset: int) -> Iterator[bytes]:
        """A file from a place on; what a server sends again from its beginning is skipped."""
        try:
            with self._open(name, offset) as response:
                skip = offset if response.status == 200 else 0
                while skip and (piece := response.read(min(_PIECE, skip))):
                    skip -= len(piece)
                while piece := response.read(_PIECE):
                    yield piece
        except (OSError, http.client.HTTPException) as error:
            raise _away(error) from None

    def _open(self, name: str, offset: int) -> http.client.HTTPResponse:
        request = urllib.request.Request(f"{self._address}/{name}")  # noqa: S310 - checked in the settings
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        opened: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=PATIENCE_S)  # noqa: S310
        return opened


def _away(error: Exception) -> Refused:
    return Refused(because("UPD-001", detail=str(error)))
