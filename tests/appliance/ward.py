"""Patients for the tests of the doctor: healthy ones, to be made ill one fault at a time."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from appliance.doctor.patient import BoardFacts, ClockFacts, Patient
from appliance.doctor.visit import Family, Visit
from appliance.network.port import Link
from appliance.settings import CloudSection, DeviceSection, Settings
from appliance.telemetry.host import HostFacts
from firmware.sight import Radio
from portal.view import Finding
from protocol.messages import CpuUsage, DiskUsage, MemoryUsage

NOW = datetime(2026, 8, 12, 22, 0, tzinfo=UTC)
HOME = Link("wifi", b"Home", "192.168.1.40", "02:00:00:00:00:02", 71, -64.0, True)
HEALTHY = b'{"status":"ok","checks":{},"server_time":"2026-01-01T00:00:00Z"}'
BOARD = BoardFacts(4, 8 * 10**9, (Radio("wlan0", blocked=False),), ("imx290",), False)
HOST = HostFacts(
    MemoryUsage(total=4 * 10**9, used=10**9, free=3 * 10**9),
    CpuUsage(temperature=52.0),
    DiskUsage(),
    3600.0,
)


def patient(folder: Path, *, cloud: str = "http://127.0.0.1:9", **changes: Any) -> Patient:
    """A station on Wi-Fi with NetworkManager, whose data folder is there, and `changes`."""
    data = folder / "data"
    (data / "spool" / "accepted").mkdir(parents=True, exist_ok=True)
    settings = Settings(device=DeviceSection(data_dir=str(data)), cloud=CloudSection(url=cloud))
    values: dict[str, Any] = {
        "settings": settings,
        "clock": ClockFacts(NOW, True, "ntp", 0.1),
        "board": BOARD,
        "host": HOST,
        "cloud_url": cloud,
        "tls": lambda: None,
        "state": "operational",
        "claimed": True,
        "backend": "networkmanager",
        "link": HOME,
        "servers": tuple,
    }
    return Patient(**values | changes)


async def ask(family: Family, ill: Patient) -> Sequence[Finding]:
    """What one family finds."""
    visit = Visit(ill)
    try:
        return await family(visit)
    finally:
        await visit.end()


async def only(family: Family, ill: Patient) -> Finding:
    """The one finding of a family, or the one that is not in order."""
    found = await ask(family, ill)
    wrong = [each for each in found if each.verdict != "ok"]
    assert len(wrong) <= 1
    return wrong[0] if wrong else found[0]


def seen(finding: Finding) -> str:
    """Its evidence as a person reads it."""
    return " ".join(str(each) for each in finding.evidence)


@asynccontextmanager
async def answering(
    status: int = 200, body: bytes = HEALTHY, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A web server on loopback that answers everything alike; its port."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
