"""Networks that the operator keeps out: who is refused, where, how it is told, and how it is noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError
from sqlalchemy import select

from cloud import server
from cloud.api.openapi import plain_path
from cloud.api.table import ROUTES
from cloud.errors import SettingsError, StoreError
from cloud.security.networks import NetworkRules
from cloud.security.vault import Secrets
from cloud.settings import load
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

HERE = ("127.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("deny", "allow", "address", "path", "let_in"),
    [
        ((), (), "192.0.2.1", "/", True),
        ((), (), "unknown", "/", True),
        (("192.0.2.0/24",), (), "192.0.2.1", "/", False),
        (("192.0.2.0/24",), (), "198.51.100.1", "/", True),
        (("192.0.2.7",), (), "192.0.2.7", "/", False),
        (("192.0.2.0/24",), (), "::ffff:192.0.2.1", "/", False),
        (("192.0.2.0/24",), (), "2001:db8::1", "/", True),
        (("2001:db8::/32",), (), "2001:db8:1::1", "/", False),
        (("fe80::/10",), (), "fe80::1%eth0", "/", False),
        (("192.0.2.0/24",), (), "192.0.2.1:443", "/", False),
        (("192.0.2.0/24",), (), "unknown", "/", False),
        ((), ("192.0.2.0/24",), "192.0.2.1", "/", True),
        ((), ("192.0.2.0/24",), "198.51.100.1", "/", False),
        ((), ("192.0.2.0/24", "2001:db8::/32"), "2001:db8::1", "/", True),
        ((), ("192.0.2.0/24",), "unknown", "/", False),
        (("192.0.2.7",), ("192.0.2.0/24",), "192.0.2.7", "/", False),
        ((), ("192.0.2.0/24",), "127.0.0.1", "/health", True),
        ((), ("192.0.2.0/24",), "::1", "/health", True),
        ((), ("192.0.2.0/24",), "127.0.0.1", "/healthy", False),
        ((), ("192.0.2.0/24",), "198.51.100.1", "/health", False),
        (("127.0.0.1",), (), "127.0.0.1", "/health", False),
    ],
)
def test_the_rules_say_who_is_let_in(
    deny: tuple[str, ...], allow: tuple[str, ...], address: str, path: str, let_in: bool
) -> None:
    assert NetworkRules(deny, allow).lets_in(address, path) is let_in


# --- the settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deny_networks", "allow_networks"])
@pytest.mark.parametrize("entry", ["banana", "192.0.2.1/24", "192.0.2.0/33", "", "DE"])
def test_an_entry_that_is_no_network_is_named_with_its_setting(name: str, entry: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(None, {}, {name: ["198.51.100.0/24", entry]})
    assert name in str(refused.value)
    assert (entry or "''") in str(refused.value)
    assert "192.0.2.0/24" in str(refused.value), "and how to write it"


def test_the_environment_gives_several_with_commas_or_spaces(tmp_path: Path) -> None:
    settings = load(None, {"METEOR_CLOUD_DENY_NETWORKS": "192.0.2.0/24, 2001:db8::/32 198.51.100.7"})
    assert settings.deny_networks == ("192.0.2.0/24", "2001:db8::/32", "198.51.100.7")
    toml = tmp_path / "cloud.toml"
    toml.write_text('allow_networks = ["192.0.2.0/24"]')
    assert load(toml, {}).allow_networks == ("192.0.2.0/24",)


# --- a running cloud ----------------------------------------------------------------------------------------


async def answer(cloud: Cloud, method: str, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with cloud.session.request(method, cloud.base + path, headers=headers) as reply:
        return reply.status, (await reply.json(content_type=None)) if reply.status == 403 else {}


async def noted(cloud: Cloud) -> list[Any]:
    query = select(schema.audit).where(schema.audit.c.action == "network_refused")
    return list(await cloud.database.read(lambda c: c.execute(query).all()))


async def test_a_denied_network_gets_a_403_on_every_route_before_anything_else(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, deny_networks=HERE) as cloud:
        paths = [(route.method, plain_path(route.path)) for route in ROUTES]
        paths += [
            ("GET", "/"),
            ("GET", "/sign-in"),
            ("GET", "/static/x.css"),
            ("GET", "/nothing"),
            ("POST", "/"),
        ]
        for method, path in paths:
            status, problem = await answer(cloud, method, path)
            assert status == 403, (method, path)
            if method != "HEAD":
                assert (problem["status"], problem["reason"]) == (403, "network")
        with pytest.raises(WSServerHandshakeError) as refused:
            await cloud.session.ws_connect(cloud.base + "/device-realtime")
        assert refused.value.status == 403


async def test_only_allowed_networks_are_let_in_and_the_health_check_of_the_machine(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    async with running_cloud(tmp_path / "a", secrets, moved_clock, allow_networks=["192.0.2.0/24"]) as cloud:
        assert (await answer(cloud, "GET", "/health"))[0] == 200
        assert (await answer(cloud, "GET", "/v1/jwks"))[0] == 403
        assert (await answer(cloud, "GET", "/v1/jwks", **{"X-Forwarded-For": "192.0.2.1"}))[0] == 403
    async with running_cloud(tmp_path / "b", secrets, moved_clock, allow_networks=HERE) as cloud:
        assert (await answer(cloud, "GET", "/v1/jwks"))[0] == 200


async def test_behind_a_trusted_proxy_the_callers_own_address_counts(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    rules: dict[str, Any] = {"trust_forwarded": True, "deny_networks": ["192.0.2.0/24"]}
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, **rules) as cloud:
        told = {"192.0.2.1": 403, "198.51.100.1": 200, "192.0.2.1, 198.51.100.1": 200, "x, 192.0.2.9": 403}
        for forwarded, status in told.items():
            got, _ = await answer(cloud, "GET", "/v1/jwks", **{"X-Forwarded-For": forwarded})
            assert got == status, forwarded
        assert (await answer(cloud, "GET", "/health"))[0] == 200


async def test_the_plain_door_keeps_them_out_too(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, unused_tcp_port: int
) -> None:
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, deny_networks=HERE) as cloud:
        settings = load(None, {}, {"plain_port": unused_tcp_port, "data_dir": tmp_path})
        async with (
            server.plain_door(cloud.app, settings),
            cloud.session.get(f"http://127.0.0.1:{unused_tcp_port}/crl") as reply,
        ):
            assert reply.status == 403


async def test_refusals_are_noted_once_an_hour_for_a_network_and_bounded_for_all(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    rules: dict[str, Any] = {"trust_forwarded": True, "deny_networks": ["192.0.2.0/24", "2001:db8::/32"]}
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, **rules) as cloud:
        for _ in range(5):
            await answer(cloud, "GET", "/v1/jwks", **{"X-Forwarded-For": "192.0.2.1"})
        (row,) = await noted(cloud)
        assert (row.actor, row.subject, row.address) == ("anonymous", "192.0.2.1", "192.0.2.1")
        for number in range(100):
            await answer(cloud, "GET", "/", **{"X-Forwarded-For": f"2001:db8:{number:x}::1"})
        assert len(await noted(cloud)) == 60


async def test_a_refusal_that_cannot_be_noted_is_one_all_the_same(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_fn: Any) -> Any:
        raise StoreError("no disk")

    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, deny_networks=HERE) as cloud:
        monkeypatch.setattr(cloud.database, "write", broken)
        assert (await answer(cloud, "GET", "/v1/jwks"))[0] == 403
