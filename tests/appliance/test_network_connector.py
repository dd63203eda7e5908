"""Connections of the station end when their other end is gone; that they do is shown by `tests/netfaults`."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.network.connector import OPTIONS
from appliance.network.host import HostNetwork
from appliance.network.simulated_connector import Gate, SimulatedConnector


def simulated() -> aiohttp.BaseConnector:
    return SimulatedConnector(Gate(open=True))


@pytest.mark.parametrize("connector", [HostNetwork().connector, simulated], ids=["host", "simulated"])
async def test_the_operating_system_watches_over_every_connection(connector: object) -> None:
    assert callable(connector)
    seen: list[int] = []

    async def look(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1_000_000)

    app = web.Application()
    app.router.add_get("/", look)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(connector=connector()) as session,
        session.get(server.make_url("/")) as response,
    ):
        assert response.connection is not None
        assert response.connection.transport is not None
        tcp = response.connection.transport.get_extra_info("socket")
        seen = [tcp.getsockopt(level, name) for level, name, _ in OPTIONS]
    assert seen == [value for _, _, value in OPTIONS]
    assert (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000) in OPTIONS
