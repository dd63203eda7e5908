"""A whole station at a real cloud, from its claim to the green tile: every step, in the order it happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType

from appliance.uplink.client import CloudClient, Reply
from appliance.uplink.heartbeat import Heartbeat
from cloud.security.vault import Secrets
from portal.view import JoinRequest
from statemachine.lifecycle import State
from tests.appliance.conftest import quick
from tests.appliance.workshop import PASSWORD, running, station, until
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_parts import Clock
from tests.cloud.test_realtime import listening

__all__ = ["quick"]

Trace = list[str]


@asynccontextmanager
async def hearing(cloud: Cloud, person: Person, trace: Trace) -> AsyncIterator[None]:
    """The owner's page listens from before the claim."""

    async def listen() -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frame: dict[str, Any] = msgspec.json.decode(message.data)
                data = frame["data"] if isinstance(frame["data"], dict) else {}
                trace.append(f"owner hears {frame['event']} {data.get('status', '')}".strip())

    async with listening(cloud, person) as socket:
        task = asyncio.create_task(listen())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def watch(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answered request of the station, and the start of what works for its owner only."""
    send, run = CloudClient.send, Heartbeat.run

    async def traced(self: CloudClient, method: str, path: str, *args: Any, **more: Any) -> Reply:
        if "config" in path or "heartbeat" in path:
            trace.append(f"asks {path.rsplit('/', 1)[0] if 'config' in path else 'heartbeat'}")
        reply = await send(self, method, path, *args, **more)
        if path.endswith(("/confirm", "/heartbeat", "/events")) and reply.status < 300:
            trace.append(f"answered {path.rsplit('/', 1)[1]}")
        return reply

    async def started(self: Heartbeat) -> None:
        trace.append("services start")
        await run(self)

    monkeypatch.setattr(CloudClient, "send", traced)
    monkeypatch.setattr(Heartbeat, "run", started)


async def tiles(owner: Person) -> list[tuple[str, str]]:
    """Name and colour of the owner's stations."""
    listed = (await owner.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    return [(each["name"], each["tone"]) for each in listed]


@pytest.mark.usefixtures("quick")
async def test_from_the_proof_to_the_green_tile_every_step_comes_after_the_one_before(
    tmp_path: Path, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace: Trace = []
    watch(trace, monkeypatch)
    async with (
        running_cloud(
            tmp_path / "cloud", secrets, Clock(time.time_ns() // 1_000_000), poll_interval=1
        ) as cloud,
        station(tmp_path, cloud.base) as made,
    ):
        owner = await cloud.person()
        made.device.configuration.observe(lambda _: trace.append("configuration applied"))
        made.conductor.observe(lambda step: trace.append(f"station is {step.target.value}"))
        async with hearing(cloud, owner, trace), running(*(service for _, service in made.services)):
            await until(lambda: made.conductor.state is State.SETUP)
            await made.front.join(JoinRequest(b"Home", PASSWORD))
            await until(lambda: made.conductor.state is State.NETWORK_READY, 60)
            card = made.device.card.current()
            await owner.named(short_id=card.short_id, pin=card.pin, name="Roof")
            await until(lambda: "owner hears event-received" in trace, 60)
            async with asyncio.timeout(60):
                while await tiles(owner) != [("Roof", "running")]:  # noqa: ASYNC110 - asked by HTTP
                    await asyncio.sleep(0.05)
    del trace[: trace.index("answered confirm")]
    order = (
        "answered confirm",
        "station is activating",
        "asks /v1/devices/config",
        "configuration applied",
        "asks heartbeat",
        "answered heartbeat",
        "station is operational",
        "services start",
        "answered events",
    )
    places = [trace.index(step) for step in order]
    assert places == sorted(places), trace
    told = (
        "owner hears claim-status success",
        "owner hears device-online active",
        "owner hears event-received",
    )
    assert set(told) <= set(trace), "\n".join(trace)
    heard = [trace.index(each) for each in told]
    assert heard == sorted(heard), trace
    assert heard[1] > trace.index("asks heartbeat"), "online is told for a heartbeat and not before it"
