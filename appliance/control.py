"""The control socket: what the command line asks of the running station. Only its own user can open it."""

from __future__ import annotations

import base64
import logging
import os
import socket
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from appliance.doctor.told import told
from appliance.front import Backlog, Front
from appliance.reset import StartOver
from buffer.errors import StoreError
from firmware.reset import Extent
from portal.view import ClaimCard, Refusal, Sentence, Snapshot

log = logging.getLogger(__name__)


class RegisterWish(msgspec.Struct, forbid_unknown_fields=True):
    """`meteor-appliance register`."""

    token: str
    api_url: str | None = None


class ResetWish(msgspec.Struct, forbid_unknown_fields=True):
    """`meteor-appliance reset`."""

    extent: Extent = Extent.OWNER


class RetryWish(msgspec.Struct, forbid_unknown_fields=True):
    """`meteor-appliance buffer retry`; without names all that were set aside."""

    names: list[str] = []


class Control:
    """An aiohttp application on a Unix socket, mode 0600."""

    def __init__(self, front: Front, cloud_url: str, start_over: StartOver) -> None:
        self._front = front
        self._cloud_url = cloud_url
        self._start_over = start_over

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/well", self._well),
                web.get("/doctor", self._doctor),
                web.get("/support-bundle", self._support_bundle),
                web.post("/register", self._register),
                web.post("/reset", self._do_reset),
                web.get("/pin", self._pin),
                web.post("/pin", self._new_pin),
                web.post("/locate", self._locate),
                web.post("/retry", self._retry),
                web.get("/buffer", self._backlog),
                web.post("/buffer/flush", self._flush),
                web.post("/buffer/retry", self._retry_dead),
            ]
        )
        return app

    async def _status(self, _request: web.Request) -> web.Response:
        return _json(describe(self._front.snapshot()))

    async def _well(self, _request: web.Request) -> web.Response:
        return _json(await self._front.well())

    async def _doctor(self, _request: web.Request) -> web.Response:
        return _json({"findings": told(await self._front.diagnose())})

    async def _support_bundle(self, _request: web.Request) -> web.Response:
        return _json({"bundle": base64.b64encode(await self._front.support_bundle()).decode()})

    async def _register(self, request: web.Request) -> web.Response:
        try:
            wish = msgspec.json.decode(await request.read(), type=RegisterWish)
        except ValueError as error:
            return _json({"code": "CTL-001", "detail": str(error)}, 400)
        if wish.api_url and wish.api_url.rstrip("/") != self._cloud_url:
            detail = (
                f"This station belongs to {self._cloud_url}. Change cloud.url in its settings and restart it."
            )
            return _json({"code": "CTL-002", "detail": detail}, 409)
        try:
            await self._front.use_claim_code(wish.token)
        except Refusal as refusal:
            detail = f"{refusal.sentence} {refusal.action}"
            return _json({"code": refusal.code, "detail": detail}, 400 if refusal.code == "REG-004" else 409)
        return _json({"accepted": True}, 202)

    async def _do_reset(self, request: web.Request) -> web.Response:
        try:
            wish = msgspec.json.decode(await request.read() or b"{}", type=ResetWish)
        except ValueError as error:
            return _json({"code": "CTL-001", "detail": str(error)}, 400)
        if not await self._start_over.ask(wish.extent):
            detail = "The station has stopped. Switch it off and on, then ask again."
            return _json({"code": "CTL-003", "detail": detail}, 409)
        return _json({"accepted": True}, 202)

    async def _pin(self, _request: web.Request) -> web.Response:
        return _json({"pin": self._front.pin})

    async def _new_pin(self, _request: web.Request) -> web.Response:
        try:
            return _json({"pin": await self._front.new_pin()})
        except OSError as error:
            detail = f"The new PIN could not be written: {error.strerror}. Make room on the disk."
            return _json({"code": "BUF-003", "detail": detail}, 503)

    async def _locate(self, _request: web.Request) -> web.Response:
        await self._front.locate()
        return _json({"accepted": True}, 202)

    async def _retry(self, _request: web.Request) -> web.Response:
        await self._front.retry()
        return _json({"accepted": True}, 202)

    async def _retry_dead(self, request: web.Request) -> web.Response:
        try:
            wish = msgspec.json.decode(await request.read() or b"{}", type=RetryWish)
        except ValueError as error:
            return _json({"code": "CTL-001", "detail": str(error)}, 400)
        try:
            revived, unknown = await self._front.retry_dead(wish.names)
        except StoreError as error:
            return _trouble(error)
        return _json({"revived": revived, "unknown": unknown})

    async def _flush(self, request: web.Request) -> web.Response:
        await self._front.retry()
        return await self._backlog(request)

    async def _backlog(self, _request: web.Request) -> web.Response:
        try:
            return _json(_waiting(await self._front.backlog()))
        except StoreError as error:
            return _trouble(error)


def _trouble(error: StoreError) -> web.Response:
    return _json({"code": error.code, "detail": f"{error.sentence} {error.action}"}, 503)


def _waiting(backlog: Backlog) -> dict[str, Any]:
    """What waits and what keeps it; times in seconds from now."""
    breaker = backlog.progress.breaker
    calm = not breaker.failures_in_row and not breaker.held and breaker.retry_in <= 0
    return {
        "count": backlog.depth.count,
        "waiting": {each.name.lower(): level.count for each, level in sorted(backlog.depth.levels.items())},
        "dead": backlog.depth.dead,
        "delivered": backlog.depth.delivered,
        "claimed": backlog.claimed,
        "sent": list(backlog.sent.items()),
        "bulk_in_s": round(backlog.progress.bulk_in, 1),
        "breaker": {
            "state": breaker.state.value.replace("-", "_"),
            "reason": None if calm else breaker.last_reason,
            "retry_in_s": round(breaker.retry_in, 1),
        },
    }


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON values. The owner's terminal may see the card; that is what it is for."""
    values: dict[str, Any] = asdict(snapshot, dict_factory=_plain)
    return values


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(items)
    if set(values) == {"text", "fields"}:
        fields = {name: _value(value) for name, value in values["fields"].items()}
        return {"text": str(Sentence(values["text"], fields))}
    return {name: _value(value) for name, value in values.items()}


def _value(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case bytes():
            return value.hex()
        case {"text": str(text)} if len(value) == 1:
            return text
        case ClaimCard():
            return asdict(value)
        case _:
            return value


def _json(values: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(values), status=status, content_type="application/json")


async def serve(app: web.Application, path: Path, mode: int) -> web.AppRunner:
    """Listens on a Unix socket with `mode` from its first moment. What a killed process left is replaced.

    Raises `OSError`, also when the path is longer than the 107 bytes that Linux allows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    # What is packed is not unpacked: a small body can be packed a thousandfold.
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner
