"""What stands between the station and the cloud: ends TLS, hands requests on, and spoils them when told to.

Usage: python -m tests.netfaults.proxy CONTROL ADDRESS UPSTREAM CERTIFICATES
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
import sys
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from tests.netfaults.certificates import LIVES
from tests.netfaults.control import serve

PORT = 443
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER on, no time: closing sends a reset (socket(7))."""
LARGEST = 64 << 20
DRIP_BYTES = 3
"""Of an answer, each second."""
PAGE = b"<!doctype html><title>Welcome</title><p>Sign in to use the free Wi-Fi of the station hotel."
OWN = {"User-Agent", "Accept", "Accept-Encoding", "Content-Type"}
"""Headers that our client would add by itself."""


class Proxy:
    """`mode` is the name of a method that begins with `_do_`; `certificate` one of those of `LIVES`.

    pass           requests and answers go through as they are
    cut_request    a reset after half of the request's body
    cut_answer     the cloud gets the request, the station a reset instead of the answer
    fail_one       500 for every request whose body holds `marker`, the others pass
    drip           answers trickle in
    forget         says yes to events and keeps none
    forget_files   the same for pieces of files
    page           somebody else answers everything with a page and 200
    """

    def __init__(self, address: str, upstream: str, certificates: Path) -> None:
        self._address = address
        self._upstream = upstream
        self._contexts = {kind: _context(certificates / f"{kind}.pem") for kind in LIVES}
        self._settings = {"mode": "pass", "certificate": "good", "marker": ""}
        self._struck = 0

    async def start(self) -> None:
        """Listens."""
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=LARGEST)
        app.router.add_route("*", "/{any:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await runner.setup()
        door = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        door.sni_callback = self._choose
        await web.TCPSite(runner, self._address, PORT, ssl_context=door).start()

    def obey(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Changes what is named, which begins a new count of the requests that were spoiled."""
        if wish:
            self._settings |= wish
            self._struck = 0
        return self._settings | {"struck": self._struck}

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._contexts[self._settings["certificate"]]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await getattr(self, f"_do_{self._settings['mode']}")(request)
        return answer

    async def _do_pass(self, request: web.Request) -> web.Response:
        headers = {name: text for name, text in request.headers.items() if name.lower() not in HOP_BY_HOP}
        async with self._session.request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            data=await request.read() or None,
            headers=headers,
            skip_auto_headers=OWN,
            allow_redirects=False,
        ) as answer:
            kept = {name: text for name, text in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _do_cut_request(self, request: web.Request) -> web.Response:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await request.content.readexactly((request.content_length or 0) // 2)
        return self._reset(request)

    async def _do_cut_answer(self, request: web.Request) -> web.Response:
        await self._do_pass(request)
        return self._reset(request)

    async def _do_fail_one(self, request: web.Request) -> web.Response:
        if self._settings["marker"].encode() in await _plain(request):
            self._struck += 1
            return web.Response(status=500, text="Internal Server Error")
        return await self._do_pass(request)

    async def _do_drip(self, request: web.Request) -> web.StreamResponse:
        answer = await self._do_pass(request)
        self._struck += 1
        slow = web.StreamResponse(status=answer.status, headers=answer.headers)
        body = bytes(answer.body) if isinstance(answer.body, bytes) else b""
        with contextlib.suppress(ConnectionError):
            await slow.prepare(request)
            while body and self._settings["mode"] == "drip":
                await slow.write(body[:DRIP_BYTES])
                body = body[DRIP_BYTES:]
                await asyncio.sleep(1)
            await slow.write(body)
        return slow

    async def _do_forget(self, request: web.Request) -> web.Response:
        if request.method == "POST" and request.path.endswith("/events"):
            self._struck += 1
            events = json.loads(await _plain(request))["events"]
            results = [{"event_id": each["event_id"], "status": "received"} for each in events]
            return web.json_response({"results": results})
        return await self._do_pass(request)

    async def _do_forget_files(self, request: web.Request) -> web.Response:
        if request.method == "PATCH":
            self._struck += 1
            end = int(request.headers["Upload-Offset"]) + len(await request.read())
            return web.Response(status=204, headers={"Upload-Offset": str(end), "Tus-Resumable": "1.0.0"})
        return await self._do_pass(request)

    async def _do_page(self, _request: web.Request) -> web.Response:
        self._struck += 1
        return web.Response(body=PAGE, content_type="text/html")

    def _reset(self, request: web.Request) -> web.Response:
        """Cuts the connection with a reset; the answer finds nobody to go to."""
        self._struck += 1
        if request.transport is not None:
            plain = request.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            request.transport.abort()
        return web.Response()


async def _plain(request: web.Request) -> bytes:
    """The body without its coding."""
    body = await request.read()
    return gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body


def _context(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


if __name__ == "__main__":
    proxy = Proxy(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    asyncio.run(serve(sys.argv[1], proxy.obey, proxy.start))
