"""A request that was heard once counts once, also after the cloud died and came back."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from tests.cloud.cloud_process import CloudProcess
from tests.cloud.station_client import Station
from tests.cloud.test_process import owner

BODY = b'{"uptime":1,"boot_id":"b","seq":1,"state":"operational"}'


async def test_a_replay_over_a_kill_of_the_cloud_is_refused(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    ada = await owner(process, session)
    station = Station(session, process.base, time.time)
    station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    path = f"{station.place}/heartbeat"
    heard, waiting = (station.signed("POST", path, BODY) for _ in range(2))
    assert (await station.raw("POST", path, BODY, heard)).status == 200
    await asyncio.to_thread(process.kill)
    await asyncio.to_thread(process.start)
    again = await station.raw("POST", path, BODY, heard)
    assert (again.status, again.reason) == (401, "replayed_nonce")
    assert (await station.raw("POST", path, BODY, waiting)).status == 200, "what never arrived still may"
