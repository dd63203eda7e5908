"""`buffer show`: everything about one message. The values here are those of an export, too."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import msgspec

from appliance.commandline.exits import CommandFailed, Exit
from appliance.media_folders import folders
from appliance.paths import Paths
from appliance.settings import Settings
from buffer.detail import Detail
from buffer.errors import StoreError
from buffer.message import MediaRef
from buffer.reader import open_reader
from buffer.shelves import Shelves
from protocol.clock import to_text


def values(settings: Settings, name: str) -> dict[str, Any]:
    """All messages with this UUID or key. Raises `CommandFailed` when there is none."""
    paths = Paths(settings.data_dir)
    try:
        with open_reader(paths.buffer_file) as reader:
            found = reader.find(name)
            known = bool(found) or reader.was_here(name)
    except StoreError as error:
        raise CommandFailed(Exit.FAILED, str(error)) from None
    media = Shelves(folders(paths))
    if not found and known:
        raise CommandFailed(Exit.FAILED, f"{name} is not here any more.", "It was sent, or given up.")
    if not found:
        hint = "`meteor-appliance buffer ls --json` lists what waits with UUIDs and keys."
        raise CommandFailed(Exit.FAILED, f"There is no message {name}.", hint)
    return {"messages": [values_of(detail, media) for detail in found]}


def values_of(detail: Detail, media: Shelves) -> dict[str, Any]:
    """One message; `media` is where the files are. Times end in `_s` and count from now."""
    return {
        "uuid": detail.uuid,
        "id": detail.id,
        "kind": detail.kind,
        "priority": detail.priority.name.lower(),
        "state": detail.state,
        "key": detail.idempotency_key,
        "revision": detail.revision,
        "enqueued_at": to_text(detail.enqueued_at),
        "clock_trusted": detail.clock_trusted,
        "age_s": round(detail.age, 1),
        "tries": detail.retry_count,
        "next_try_s": _seconds(detail.next_try_in),
        "expires_s": _seconds(detail.expires_in),
        "reason": detail.reason,
        "died_at": None if detail.died_at is None else to_text(detail.died_at),
        "sound": detail.sound,
        "media": [_file(ref, media) for ref in detail.media],
        "content_type": detail.content_type,
        "bytes": len(detail.payload),
        **_payload(detail.payload),
    }


def _file(ref: MediaRef, media: Shelves) -> dict[str, Any]:
    found = media.disk_bytes(ref.sha256)
    return asdict(ref) | {"on_disk": found is not None, "bytes_on_disk": found}


def _payload(payload: bytes) -> dict[str, Any]:
    """As JSON where it is some, otherwise as base64."""
    try:
        return {"payload": msgspec.json.decode(payload)}
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return {"payload": None, "payload_base64": base64.b64encode(payload).decode()}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def lines(facts: dict[str, Any]) -> list[str]:
    """One block for each message."""
    rows: list[str] = []
    for message in facts["messages"]:
        rows += ([""] if rows else []) + _block(message)
    return rows


def _block(message: dict[str, Any]) -> list[str]:
    clock = "" if message["clock_trusted"] else " (the clock was not synchronized)"
    rows = [
        f"message      {message['uuid']}",
        f"key          {message['key'] or '–'}, revision {message['revision']}",
        f"kind         {message['kind']}, {message['content_type']}, {message['bytes']} bytes",
        f"priority     {message['priority']}",
        f"state        {message['state']}{_reason(message)}",
        f"tries        {message['tries']}{_when(', the next in', message['next_try_s'])}",
        f"stored       {message['enqueued_at']}, {message['age_s']:.0f} s ago{clock}",
        f"expires      {_when('in', message['expires_s']).strip() or 'never'}",
    ]
    if not message["sound"]:
        rows.append("damaged      its bytes are not those that were stored")
    rows += [_media_line(file) for file in message["media"]]
    if "payload_base64" in message:
        return [*rows, f"payload      {message['payload_base64']} (base64)"]
    shown = msgspec.json.format(msgspec.json.encode(message["payload"]), indent=2).decode()
    return [*rows, "payload", *(f"  {line}" for line in shown.splitlines())]


def _reason(message: dict[str, Any]) -> str:
    return "" if message["reason"] is None else f" since {message['died_at']}: {message['reason']}"


def _when(words: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{words} {seconds:.0f} s"


def _media_line(file: dict[str, Any]) -> str:
    here = "on the disk" if file["on_disk"] else "NOT on the disk"
    return f"file         {file['name']} ({file['role']}, {file['mime']}, {file['size']} bytes), {here}"
