"""Many open pages in front of the real station: the facts are gathered once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.station import Station
from portal.context import CONTEXT
from portal.server import create_app, serving
from tests.appliance.workshop import running, station, until

PAGES = 20


class Counts:
    """How often the station looked at anything."""

    def __init__(self, made: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: dict[str, int] = {}
        board = made.board
        for owner, name in (
            (board, "gather"),
            (board, "announce"),
            (board, "snapshot"),
            (board._store, "depth"),
            (board._host, "facts"),
        ):
            self.of[name] = 0
            monkeypatch.setattr(owner, name, self._counted(name, getattr(owner, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any) -> Any | Awaitable[Any]:
            self.of[name] += 1
            return real(*words)

        return call


async def test_twenty_open_pages_cost_one_gathering_a_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.status.REFRESH_S", 0.05)
    async with station(tmp_path) as made, AsyncExitStack() as stack:
        await asyncio.to_thread(made.device.card.current)
        app = create_app(made.front)
        address = await stack.enter_async_context(serving(app, "127.0.0.1", 0))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        streams = [await stack.enter_async_context(session.get(f"{address}/events")) for _ in range(PAGES)]
        for stream in streams:
            assert stream.status == 200
            await stream.content.readuntil(b"\n\n")
        assert not app[CONTEXT].streams.locked(), "there is room for more"
        counts = Counts(made, monkeypatch).of
        async with running(made.board.run):
            await until(lambda: counts["announce"] >= 20, 60)
            made.device.panel.locate()  # something that every page shows
            made.board.announce()
            for stream in streams:
                async with asyncio.timeout(60):
                    while b'"pattern":"locate"' not in await stream.content.readline():
                        pass
    assert counts["gather"] <= counts["announce"], "nobody gathers but the one task"
    for name in ("depth", "facts"):
        assert counts[name] <= counts["gather"]
    assert counts["snapshot"] <= counts["announce"] + 2 * PAGES, "one picture for all"
