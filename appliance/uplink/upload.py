"""One file to the cloud in pieces that a cut cannot spoil (tus 1.0: creation, checksum)."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp
import msgspec

from appliance.uplink.client import CloudClient, Refused, Reply, Unreachable
from buffer.media import MediaStore

log = logging.getLogger(__name__)

PIECE = 1 << 20
"""Bytes of one PATCH: what a cut can cost, and how long a more urgent message waits."""
PIECE_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)
"""Enough for one piece at 70 kbit/s."""
TUS = {"tus-resumable": "1.0.0"}

_DAMAGED_ON_THE_WAY = 460
"""The status that tus gives to a piece whose checksum is wrong."""


class MediaTicket(msgspec.Struct, frozen=True, array_like=False):
    """The message that stands for one file in the buffer."""

    event_id: str
    sha256: str
    size: int
    mime: str
    name: str


class ChangedFile(Exception):
    """The file no longer has the hash that names it."""


class NotNow(Exception):
    """This upload cannot go on, and a later try begins anew; the file and the cloud are well."""


class Upload:
    """Uploads below one collection, e.g. `/v1/devices/dev_…/uploads`."""

    def __init__(self, client: CloudClient, media: MediaStore, collection: str) -> None:
        self._client = client
        self._media = media
        self._collection = collection

    async def run(self, ticket: MediaTicket, *, make_way: Callable[[], Awaitable[None]]) -> None:
        """Returns when the cloud has the whole file. Between two pieces `make_way` may let others go first.

        Raises `Unreachable`, `Refused`, `ChangedFile`, `NotNow`, `StoreError`.
        """
        location, offset = await self._create(ticket)
        while offset < ticket.size:
            piece = await self._media.read(ticket.sha256, offset, PIECE)
            if not piece:
                raise ChangedFile(f"{ticket.name} is shorter than it was when it was handed in.")
            before, offset = offset, await self._send(ticket, location, offset, piece)
            if offset == before:
                raise NotNow(f"The cloud stays at byte {offset} of {ticket.name}.")
            if offset < ticket.size:
                await make_way()

    async def _create(self, ticket: MediaTicket) -> tuple[str, int]:
        """The place of the upload and how much the cloud has; the same call resumes a cut one."""
        metadata = {"sha256": ticket.sha256, "event_id": ticket.event_id, "mime": ticket.mime}
        encoded = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in metadata.items())
        headers = {**TUS, "upload-length": str(ticket.size), "upload-metadata": encoded}
        reply = await self._client.send("POST", self._collection, headers=headers)
        location = urlsplit(reply.headers.get("location", "")).path
        if not location.startswith("/"):
            raise Unreachable("connect", "The cloud gave no place for a file.")
        return location, _offset(reply, ticket.size)

    async def _send(self, ticket: MediaTicket, location: str, offset: int, piece: bytes) -> int:
        checksum = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {**TUS, "upload-offset": str(offset), "upload-checksum": f"sha256 {checksum}"}
        try:
            reply = await self._client.send(
                "PATCH",
                location,
                piece,
                content_type="application/offset+octet-stream",
                headers=headers,
                timeout=PIECE_TIMEOUT,
            )
        except Refused as refusal:
            if refusal.status == 409:  # the cloud's offset is the truth
                return _offset(await self._client.send("HEAD", location, headers=TUS), ticket.size)
            if refusal.status in (404, 410):
                raise NotNow(f"The cloud forgot the upload of {ticket.name}.") from None
            if refusal.status == _DAMAGED_ON_THE_WAY or refusal.reason == "hash_mismatch":
                await self._accuse(ticket)
            raise
        return _offset(reply, ticket.size)

    async def _accuse(self, ticket: MediaTicket) -> None:
        """What arrived does not have its hash: our file changed, or else the way is bad and we try again."""
        if not await self._media.verify(ticket.sha256):
            raise ChangedFile(f"{ticket.name} changed on this station's disk.")
        raise NotNow(f"{ticket.name} was damaged on its way.")


def _offset(reply: Reply, size: int) -> int:
    """How many bytes the cloud has. Raises `Unreachable` when what answers does not speak tus."""
    text = reply.headers.get("upload-offset", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) > size:
        raise Unreachable("connect", f"The cloud answered with no usable offset ({text[:20]!r}).")
    return int(text)
