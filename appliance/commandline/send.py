"""`event send`: hands files to the running station as one event, through the same door as camera programs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.settings import Settings
from protocol.clock import to_text


async def send(
    settings: Settings, files: Sequence[Path], kind: str, priority: str | None, moment: str | None
) -> str:
    """The sentence to print. Raises `CommandFailed`."""
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise CommandFailed(Exit.USAGE, f"There is no file {', '.join(missing)}.")
    event = {
        "event_type": kind,
        "timestamp": moment or _oldest(files),
        "media": [{"name": path.name} for path in files],
        "source": {"adapter": "command"},
    }
    if priority:
        event["priority"] = priority
    with ExitStack() as opened:
        form = aiohttp.FormData()
        form.add_field("event", msgspec.json.encode(event).decode(), content_type="application/json")
        for path in files:
            form.add_field("file", opened.enter_context(path.open("rb")), filename=path.name)
        try:
            status, answer = await call(settings.ingest_socket, "POST", "/ingest/v1/events", data=form)
        except NotRunning:
            hint = f"Start it with `meteor-appliance run`, or put the files into {settings.spool}."
            raise CommandFailed(Exit.UNREACHABLE, "The station is not running.", hint) from None
    if status != 202:
        field = f"{answer['field']}: " if answer.get("field") else ""
        raise CommandFailed(Exit.REFUSED, f"{field}{answer.get('detail') or answer.get('title')}")
    known = " It was known already." if answer.get("duplicate") else ""
    return f"Accepted as {answer['event_id']}.{known}"


def _oldest(files: Sequence[Path]) -> str:
    return to_text(datetime.fromtimestamp(min(path.stat().st_mtime for path in files), UTC))
