"""One file to the cloud in pieces that a cut cannot spoil (tus 1.0: creation, checksum)."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from appliance.uplink.client import CloudClient, Refused, Reply
from buffer.media import MediaStore

log = logging.getLogger(__name__)

PIECE = 1 << 20
"""Bytes of one PATCH: what a cut can cost, and how long a more urgent message waits."""
TUS = {"tus-resumable": "1.0.0"}


class MediaTicket(msgspec.Struct, frozen=True, array_like=False):
    """The message that stands for one file in the buffer."""

    event_id: str
    sha256: str
    size: int
    mime: str
    name: str


class ChangedFile(Exception):
    """The file no longer has the hash that names it, or the cloud says so at its end."""


class Upload:
    """Uploads below one collection, e.g. `/v1/devices/dev_…/uploads`."""

    def __init__(self, client: CloudClient, media: MediaStore, collection: str) -> None:
        self._client = client
        self._media = media
        self._collection = collection

    async def run(self, ticket: MediaTicket, *, pause: Callable[[], bool]) -> bool:
        """True when the cloud has the whole file; False when `pause` asked to stop between two pieces.

        Raises `Unreachable`, `Refused`, `ChangedFile`, `StoreError`.
        """
        location, offset = await self._create(ticket)
        while offset < ticket.size:
            piece = await self._media.read(ticket.sha256, offset, PIECE)
            if not piece:
                raise ChangedFile(f"{ticket.name} is shorter than it was when it was handed in.")
            offset = await self._send(ticket, location, offset, piece)
            if offset < ticket.size and pause():
                return False
        return True

    async def _create(self, ticket: MediaTicket) -> tuple[str, int]:
        """The place of the upload and how much the cloud has; the same call resumes a cut one."""
        metadata = {"sha256": ticket.sha256, "event_id": ticket.event_id, "mime": ticket.mime}
        encoded = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in metadata.items())
        headers = {**TUS, "upload-length": str(ticket.size), "upload-metadata": encoded}
        reply = await self._client.send("POST", self._collection, headers=headers)
        return urlsplit(reply.headers.get("location", "")).path, _offset(reply)

    async def _send(self, ticket: MediaTicket, location: str, offset: int, piece: bytes) -> int:
        checksum = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {**TUS, "upload-offset": str(offset), "upload-checksum": f"sha256 {checksum}"}
        try:
            reply = await self._client.send(
                "PATCH", location, piece, content_type="application/offset+octet-stream", headers=headers
            )
        except Refused as refusal:
            if refusal.status == 409:  # the cloud's offset is the truth
                return _offset(await self._client.send("HEAD", location, headers=TUS))
            if refusal.reason == "hash_mismatch":
                await self._accuse(ticket)
            raise
        return _offset(reply)

    async def _accuse(self, ticket: MediaTicket) -> None:
        """The whole does not have its hash: our file changed, or else the way is bad and we try again."""
        if not await self._media.verify(ticket.sha256):
            raise ChangedFile(f"{ticket.name} changed on this station's disk.")


def _offset(reply: Reply) -> int:
    return int(reply.headers.get("upload-offset", "0"))
