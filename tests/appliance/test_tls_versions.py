"""Which versions of TLS a station speaks with its cloud: 1.2 and 1.3, and none of the older ones."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.identity.file_keys import ephemeral
from appliance.identity.nonces import Nonces
from appliance.uplink.client import CloudClient, Unreachable, trust
from appliance.uplink.time import CloudTime
from firmware.clock import SystemClock
from tests.netfaults.certificates import make
from tests.tls_versions import GOOD, OLD, speaking


@asynccontextmanager
async def cloud(folder: Path, version: ssl.TLSVersion) -> AsyncIterator[tuple[str, Path]]:
    """A server with a good certificate that speaks one version: its address, and what to trust."""
    trusted = make(folder, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "good.pem")
    app = web.Application()
    app.router.add_get("/", _version)
    server = TestServer(app, host="localhost")
    await server.start_server(ssl=speaking(context, version))
    try:
        yield f"https://localhost:{server.port}", trusted
    finally:
        await server.close()


async def _version(request: web.Request) -> web.Response:
    assert request.transport is not None
    return web.Response(text=request.transport.get_extra_info("ssl_object").version())


async def spoken(
    folder: Path, url: str, trusted: Path, change: Callable[[ssl.SSLContext], object] = lambda _: None
) -> str:
    """The version of a station's request; `change` alters its context. Raises `Unreachable`."""
    tls = trust(str(trusted), url)
    assert tls is not None
    change(tls)
    client = CloudClient(
        url, ephemeral(), Nonces(folder), CloudTime(SystemClock(built=0.0)), aiohttp.TCPConnector, tls
    )
    try:
        return (await client.send("GET", "/")).body.decode()
    finally:
        await client.close()


@pytest.mark.parametrize("version", OLD, ids=lambda each: each.name)
async def test_a_station_refuses_a_cloud_of_old_versions(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with cloud(tmp_path, version) as (url, trusted):
        with pytest.raises(Unreachable):  # the version is the only reason that is left
            await spoken(tmp_path, url, trusted, lambda tls: tls.set_ciphers("ALL:@SECLEVEL=0"))
        again = await spoken(tmp_path, url, trusted, lambda tls: speaking(tls, version))
        assert again == version.name.replace("_", "."), "the server does speak it"


@pytest.mark.parametrize("version", GOOD, ids=lambda each: each.name)
async def test_a_station_speaks_present_versions(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with cloud(tmp_path, version) as (url, trusted):
        assert await spoken(tmp_path, url, trusted) == version.name.replace("_", ".")
