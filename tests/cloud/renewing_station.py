"""A station's real parts for renewing, over files that outlive it, before a running cloud; and a knife."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.identity.credentials import CredentialsFile, from_claim
from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import KeyStore, load_or_create
from appliance.identity.nonces import Nonces
from appliance.identity.renewal import NextPair
from appliance.uplink.claim import Claiming, Hardware
from appliance.uplink.client import CloudClient, Refused, Reply
from appliance.uplink.renewal import Renewal
from appliance.uplink.time import CloudTime
from firmware.clock import ClockQuality, Source
from firmware.fakes import FakeClock
from protocol.messages import ClaimComplete, DeviceInfo, HardwareFingerprint, NetworkInfo
from tests.cloud.cloud_server import Cloud, Person

NTP = ClockQuality(True, Source.NTP, 0.01)
NOBODY = ClockQuality(False, Source.UNKNOWN, None)


class Renewing:
    """One life of a station. `clock` is its wall clock, by default the cloud's."""

    def __init__(
        self,
        cloud: Cloud,
        folder: Path,
        quality: ClockQuality = NTP,
        off: float = 0.0,
        store: KeyStore | None = None,
    ) -> None:
        self.cloud, self.folder, self.store = cloud, folder, store or FileKeys()
        self.clock = FakeClock()
        self.clock.set_wall(cloud.clock.now_ms / 1000 + off, quality)
        self.credentials = CredentialsFile(folder)
        self.key = load_or_create(folder, self.store)
        current = self.credentials.current
        if current is not None and current.short_id:
            self.key.short_id = current.short_id
        self.client = CloudClient(
            cloud.base, self.key, Nonces(folder), CloudTime(self.clock), aiohttp.TCPConnector
        )
        self.pair = NextPair(folder, self.store)
        self.renewal = Renewal(self.client, self.credentials, self.pair, _at_once)

    async def claim(self, owner: Person | None = None) -> None:
        """Becomes this person's, or somebody's, by token."""
        token = (await (owner or await self.cloud.person()).token())["claim_token"]
        answer = await Claiming(self.client, _hardware()).with_token(token, NetworkInfo())
        assert isinstance(answer, ClaimComplete), answer
        self.credentials.keep(from_claim(answer, self.cloud.base))

    @property
    def device_id(self) -> str:
        assert self.credentials.current is not None
        return self.credentials.current.device_id

    async def beat(self) -> str | None:
        """A request that has no limit of its own: None, or the reason of the refusal."""
        try:
            await self.client.send("GET", f"/v1/devices/config/{self.device_id}")
        except Refused as refusal:
            return refusal.reason
        return None

    async def close(self) -> None:
        await self.client.close()

    def left_over(self) -> list[str]:
        """Files of a renewal that is not over."""
        return sorted(path.name for path in self.folder.iterdir() if path.name.endswith(".new"))


def _hardware() -> Hardware:
    """A machine that nobody saw before."""
    serial = secrets.token_hex(8)
    about = DeviceInfo(model="Test board", firmware_version="1.0")
    return Hardware(f"CPU_{serial}", HardwareFingerprint(cpu_id=serial), about, "boot-1")


async def _at_once() -> None:
    await asyncio.sleep(0)


class Cut(BaseException):
    """The power is gone. Nobody catches it."""


class Knife:
    """Counts the steps of a life and ends it at one of them: every fsync and rename, every request."""

    def __init__(self, at: int | None) -> None:
        self._at, self.steps, self.names = at, 0, list[str]()

    def step(self, name: str) -> None:
        """One moment between two steps."""
        self.steps += 1
        self.names.append(name)
        if self._at is not None and self.steps >= self._at:  # a dead program does nothing more
            raise Cut(name)

    def around(self, name: str, work: Callable[..., Any], mine: Callable[[Any], bool]) -> Callable[..., Any]:
        def done(*args: Any, **kwargs: Any) -> Any:
            if not mine(args[0]):
                return work(*args, **kwargs)
            self.step(f"before {name}")
            result = work(*args, **kwargs)
            self.step(f"after {name}")
            return result

        return done


@contextmanager
def knife(station: Renewing, at: int | None) -> Iterator[Knife]:
    """Every fsync, rename, removal and request of the station passes the knife; the cloud, which lives in
    the same process, is spared."""
    held, send = Knife(at), station.client.send

    def below(path: Path) -> bool:
        return path.is_relative_to(station.folder)

    def opened_below(file: int) -> bool:
        return below(Path(f"/proc/self/fd/{file}").readlink())

    async def request(*args: Any, **kwargs: Any) -> Reply:
        held.step("before a request")
        reply = await send(*args, **kwargs)
        held.step("after a request")
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", held.around("fsync", os.fsync, opened_below))
        patch.setattr(Path, "replace", held.around("rename", Path.replace, below))
        patch.setattr(Path, "unlink", held.around("unlink", Path.unlink, below))
        patch.setattr(station.client, "send", request)
        yield held
