"""A station with the pin of a claim code, and somebody with another authority in the cloud's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.about import look_at_hardware
from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import load_or_create
from appliance.identity.nonces import Nonces
from appliance.uplink.claim import Claiming
from appliance.uplink.client import CloudClient
from appliance.uplink.time import CloudTime
from appliance.uplink.vouched import WrongCloud
from cloud.security import rollover
from cloud.security.cloud_keys import CloudKeys
from cloud.security.vault import Secrets, Vault
from firmware.clock import SystemClock
from protocol.codes import ClaimCode, parse_claim_code
from protocol.messages import ClaimComplete, ConfigKey, NetworkInfo
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

KEYS, CLAIM = "/v1/keys", "/v1/devices/claim"
Twist = Callable[[str, dict[str, Any]], dict[str, Any]]


def own_vault(folder: Path) -> Vault:
    made = Vault(folder)
    made.make_authority()
    made.make_missing_keys()
    return made


@asynccontextmanager
async def claiming(folder: Path, url: str, clock: Clock, pin: str = "") -> AsyncIterator[Claiming]:
    """The station's side of a claim, at an address that may be anybody's."""
    time = CloudTime(SystemClock(built=clock.now_ms / 1000, wall=lambda: clock.now_ms / 1000))
    key = load_or_create(folder / "identity", FileKeys())
    client = CloudClient(url, key, Nonces(folder / "identity"), time, aiohttp.TCPConnector)
    try:
        yield Claiming(client, look_at_hardware("boot", 1 << 30), pin)
    finally:
        await client.close()


class Between:
    """Passes everything on to the cloud, and twists answers on their way back."""

    def __init__(self, cloud: Cloud, twist: Twist) -> None:
        self.cloud, self.twist = cloud, twist
        self.passed: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.passed.append(request.path)
        async with self.cloud.session.request(
            request.method,
            self.cloud.base + request.raw_path,
            data=await request.read(),
            headers=request.headers,
        ) as reply:
            told = msgspec.json.decode(await reply.read())
            body = msgspec.json.encode(self.twist(request.path, told) if reply.status < 400 else told)
            return web.Response(body=body, status=reply.status, content_type="application/json")


@asynccontextmanager
async def between(cloud: Cloud, twist: Twist) -> AsyncIterator[tuple[Between, str]]:
    made, app = Between(cloud, twist), web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    async with TestServer(app) as server:
        yield made, str(server.make_url("")).rstrip("/")


async def code_of(cloud: Cloud) -> ClaimCode:
    return parse_claim_code((await (await cloud.person()).token())["qr_text"])


async def test_the_cloud_that_gave_the_code_is_taken(
    cloud: Cloud, tmp_path: Path, moved_clock: Clock
) -> None:
    code = await code_of(cloud)
    async with claiming(tmp_path, cloud.base, moved_clock) as station:
        answer = await station.with_token(code.token, NetworkInfo(), code.ca_pin)
    assert isinstance(answer, ClaimComplete)


async def test_a_cloud_with_another_authority_is_refused_and_never_sees_the_token(
    cloud: Cloud, tmp_path: Path, moved_clock: Clock
) -> None:
    code = await code_of(cloud)
    async with running_cloud(tmp_path / "other", own_vault(tmp_path / "keys").load(), moved_clock) as other:
        async with (
            between(other, lambda _path, told: told) as (middle, url),
            claiming(tmp_path, url, moved_clock) as station,
        ):
            with pytest.raises(WrongCloud, match=r"CERT-005 This is not the cloud .* another one"):
                await station.with_token(code.token, NetworkInfo(), code.ca_pin)
        assert middle.passed == [KEYS]
    async with claiming(tmp_path, cloud.base, moved_clock) as station:
        answer = await station.with_token(code.token, NetworkInfo(), code.ca_pin)
    assert isinstance(answer, ClaimComplete), "the same code is good at the right cloud"


async def test_a_pin_of_the_settings_guards_the_card_and_agrees_with_a_code(
    cloud: Cloud, secrets: Secrets, tmp_path: Path, moved_clock: Clock
) -> None:
    code = await code_of(cloud)
    async with claiming(tmp_path, cloud.base, moved_clock, "f" * 64) as station:
        with pytest.raises(WrongCloud, match="two differ"):
            await station.with_token(code.token, NetworkInfo(), code.ca_pin)
        with pytest.raises(WrongCloud, match="another one"):
            await station.with_token(code.token, NetworkInfo())
    async with claiming(tmp_path, cloud.base, moved_clock, code.ca_pin or "") as station:
        answer = await station.with_token(code.token, NetworkInfo())
    assert isinstance(answer, ClaimComplete)


async def test_who_passes_messages_on_can_put_no_key_into_the_claim(
    cloud: Cloud, secrets: Secrets, tmp_path: Path, moved_clock: Clock
) -> None:
    code = await code_of(cloud)
    forged = msgspec.to_builtins(ConfigKey(kid="forged", x="A" * 43))

    def twist(path: str, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"config_keys": [forged], "time_keys": [forged]} if path == CLAIM else told

    async with between(cloud, twist) as (_, url), claiming(tmp_path, url, moved_clock) as station:
        answer = await station.with_token(code.token, NetworkInfo(), code.ca_pin)
    assert isinstance(answer, ClaimComplete)
    assert answer.time_keys == CloudKeys(secrets).time_keys
    assert "forged" not in {each.kid for each in answer.config_keys}


@pytest.mark.parametrize("member", ["ca_certificate", "device_certificate"])
async def test_a_certificate_of_another_authority_in_the_answer_is_refused(
    cloud: Cloud, tmp_path: Path, moved_clock: Clock, member: str
) -> None:
    code = await code_of(cloud)
    other = own_vault(tmp_path / "keys").load().authority

    def twist(path: str, told: dict[str, Any]) -> dict[str, Any]:
        return told | {member: other.published_pem} if path == CLAIM else told

    async with between(cloud, twist) as (_, url), claiming(tmp_path, url, moved_clock) as station:
        with pytest.raises(WrongCloud):
            await station.with_token(code.token, NetworkInfo(), code.ca_pin)


async def test_a_code_from_before_a_roll_over_of_everything_but_the_root_still_claims(
    tmp_path: Path, moved_clock: Clock
) -> None:
    vault = own_vault(tmp_path / "keys")
    async with running_cloud(tmp_path / "cloud", vault.load(), moved_clock) as cloud:
        code = await code_of(cloud)
    for change in (rollover.roll_over, rollover.forget):
        for kind in rollover.KINDS:
            change(vault, kind)
    async with (
        running_cloud(tmp_path / "cloud", vault.load(), moved_clock) as cloud,
        claiming(tmp_path, cloud.base, moved_clock) as station,
    ):
        answer = await station.with_token(code.token, NetworkInfo(), code.ca_pin)
    assert isinstance(answer, ClaimComplete)
