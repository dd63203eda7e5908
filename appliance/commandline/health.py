"""`health`: can the cloud be reached from here, and if not, which part of the way is broken?"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from appliance.settings import Settings
from appliance.uplink.client import trust, unreachable
from protocol.clock import parse


@dataclass(frozen=True)
class Health:
    """The verdict. `fault` is dns, connect, refused, tls, timeout, http or None; times in seconds."""

    url: str
    reachable: bool
    fault: str | None
    detail: str
    tls: bool
    status: int | None = None
    answer_s: float | None = None
    clock_offset_s: float | None = None

    def values(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


async def ask(settings: Settings, url: str) -> Health:
    """One GET /health."""
    url, secure = url.rstrip("/"), urlsplit(url).scheme == "https"
    context = trust(settings.cloud.ca_certificate, url)
    started = time.monotonic()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"{url}/health", ssl=context or True) as response,
        ):
            body = await response.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        fault = unreachable(error)
        return Health(url, False, fault.fault, str(fault), secure)
    except ValueError as error:
        return Health(url, False, "connect", f"{url} is not an address: {error}", secure)
    took = time.monotonic() - started
    good = response.status == 200
    detail = "The cloud is well." if good else f"The cloud answers {response.status}, so it is not well."
    return Health(
        url,
        True,
        None if good else "http",
        detail,
        secure,
        response.status,
        round(took, 3),
        _offset(body, took),
    )


def _offset(body: bytes, took: float) -> float | None:
    """How far this clock runs ahead of the cloud's."""
    try:
        server = parse(msgspec.json.decode(body)["server_time"]).timestamp()
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return None
    return round(time.time() - took / 2 - server, 3)


def lines(values: dict[str, Any]) -> list[str]:
    """The verdict for a person."""
    mark = "●" if values["fault"] is None else "■"
    rows = [f"{mark} {values['detail']}", f"address      {values['url']}"]
    if values["fault"]:
        rows.append(f"fault        {values['fault']}")
    if values["answer_s"] is not None:
        rows.append(f"answer       {values['status']} after {values['answer_s'] * 1000:.0f} ms")
    rows.append(f"secure       {'TLS' if values['tls'] else 'no, plain http'}")
    if values["clock_offset_s"] is not None:
        rows.append(f"clock        {values['clock_offset_s']:+.1f} s against the cloud")
    return rows
