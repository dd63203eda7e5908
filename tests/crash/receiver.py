"""The real cloud in the harness's process, with a log of every event that reaches it, before it judges."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from sqlalchemy import Connection, select

from appliance.files import private_folder, write_atomically
from appliance.identity.credentials import CredentialsFile, from_claim
from appliance.paths import Paths
from cloud import keys
from cloud.fleet.events import Received
from cloud.security.device_auth import DevicePrincipal
from cloud.security.vault import Secrets
from cloud.store.schema import event, media
from protocol.messages import ClaimComplete
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Station


class WallClock(Clock):
    """The machine's own time: the lives are real processes and have no other."""

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Arrival:
    """One event in one request, and what the cloud said: 201 new, 200 known, else refused."""

    body: bytes
    status: int


@dataclass
class Receiver:
    """The cloud of all trials."""

    cloud: Cloud
    arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))

    async def claim(self, paths: Paths) -> str:
        """Makes a station of somebody's, with key and credentials in these folders; its device id."""
        owner = await self.cloud.person()
        station = Station(self.cloud.session, self.cloud.base, time.time)
        reply = await station.claim_with_token((await owner.token())["claim_token"])
        assert reply.status == 201, reply
        pem = station.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_atomically(private_folder(paths.identity) / "device.key", pem)
        # the harness's own requests used numbers of the first run: the station begins above them
        write_atomically(private_folder(paths.state) / "boot_counter", str(station.boot).encode())
        complete = reply.read(ClaimComplete)
        CredentialsFile(paths.identity).keep(from_claim(complete, self.cloud.base))
        return complete.device_id

    async def bodies(self, device_id: str) -> list[bytes]:
        """What the database holds of a station, in the order in which it came."""

        def query(connection: Connection) -> list[bytes]:
            rows = select(event.c.body).where(event.c.device_id == device_id).order_by(event.c.pk)
            return list(connection.execute(rows).scalars())

        return await self.cloud.database.read(query)

    async def files(self, device_id: str) -> dict[str, Path]:
        """The complete files of a station by their hash."""

        def query(connection: Connection) -> list[str]:
            rows = select(media.c.sha256).where(media.c.device_id == device_id)
            return list(connection.execute(rows).scalars())

        found = await self.cloud.database.read(query)
        return {sha: self.cloud.app[keys.MEDIA_FILES].final(device_id, sha) for sha in found}


@asynccontextmanager
async def receiving(folder: Path, secrets: Secrets) -> AsyncIterator[Receiver]:
    """A cloud that runs."""
    async with running_cloud(folder, secrets, WallClock()) as cloud:
        receiver = Receiver(cloud)
        _listen(receiver)
        yield receiver


def _listen(receiver: Receiver) -> None:
    events = receiver.cloud.app[keys.EVENTS]
    receive = events.receive

    async def logged(principal: DevicePrincipal, bodies: Sequence[bytes]) -> Sequence[Received]:
        answers = await receive(principal, bodies)
        log = receiver.arrivals[principal.device_id]
        log += [Arrival(body, answer.status) for body, answer in zip(bodies, answers, strict=True)]
        return answers

    events.receive = logged  # type: ignore[method-assign]
