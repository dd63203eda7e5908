"""Device requests with one broken element at a time: who may speak for a station, and who may not."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from sqlalchemy import select, update
from yarl import URL

from cloud.security import audit
from cloud.store import schema
from protocol.codes import ulid
from protocol.signature import Request, sign, signer
from tests.cloud.cloud_server import Cloud
from tests.cloud.station_client import Reply, Station

pytestmark = pytest.mark.usefixtures("no_blocking")

BODY = b'{"uptime":1,"boot_id":"b","seq":1,"state":"operational"}'
Headers = dict[str, str]


@dataclass(frozen=True)
class Broken:
    """One element to spoil in a good request, and the answer to expect."""

    name: str
    spoil: Callable[[Headers], Headers]
    status: int = 401
    reason: str = "bad_signature"
    body: bytes = BODY
    query: str = ""


def without(*names: str) -> Callable[[Headers], Headers]:
    return lambda headers: {name: value for name, value in headers.items() if name not in names}


def replaced(name: str, pattern: str, text: str) -> Callable[[Headers], Headers]:
    def spoil(headers: Headers) -> Headers:
        changed = re.sub(pattern, text, headers[name])
        assert changed != headers[name]
        return without("x-request-timestamp", "x-device-signature")(headers) | {name: changed}

    return spoil


def der(headers: Headers) -> Headers:
    raw = base64.b64decode(headers["signature"].partition(":")[2].rstrip(":"))
    encoded = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return without("x-device-signature")(headers) | {
        "signature": f"meteor=:{base64.b64encode(encoded).decode()}:"
    }


TABLE = (
    Broken("nothing signed", without("signature", "signature-input")),
    Broken("no signature", without("signature")),
    Broken("no signature input", without("signature-input")),
    Broken("no digest", without("content-digest")),
    Broken("changed body", dict, body=BODY.replace(b'"seq":1', b'"seq":2')),
    Broken("changed query", dict, query="?x=1"),
    Broken("changed content type", lambda h: h | {"content-type": "text/plain"}),
    Broken("uncovered idempotency key", lambda h: h | {"idempotency-key": "x"}),
    Broken("missing component", replaced("signature-input", ' "@query"', "")),
    Broken("extra component", replaced("signature-input", '"@query"', '"@query" "host"')),
    Broken("other order", replaced("signature-input", '"@method" "@authority"', '"@authority" "@method"')),
    Broken("no nonce", replaced("signature-input", ';nonce="[^"]*"', "")),
    Broken("nonce of another form", replaced("signature-input", 'nonce="[^"]*"', 'nonce="abc"')),
    Broken("changed nonce", replaced("signature-input", 'nonce="[^"]*"', 'nonce="9.9"')),
    Broken("longer life", replaced("signature-input", r"expires=(\d+)", r"expires=9\1")),
    Broken("changed time", replaced("signature-input", r"created=(\d)", r"created=9\1")),
    Broken("other algorithm", replaced("signature-input", "ecdsa-p256-sha256", "hmac-sha256")),
    Broken("other tag", replaced("signature-input", "meteor-v1", "meteor-v0")),
    Broken(
        "two signatures", lambda h: h | {"signature-input": f"{h['signature-input']}, {h['signature-input']}"}
    ),
    Broken("DER instead of raw", der),
    Broken("signature of another request", replaced("signature", ":[A-Za-z0-9+/]{8}", ":AAAAAAAA")),
    Broken("other timestamp mirror", lambda h: h | {"x-request-timestamp": "1"}),
    Broken("other signature mirror", lambda h: h | {"x-device-signature": "AAAA"}),
)


async def post(station: Station, headers: Headers, body: bytes = BODY, query: str = "") -> Reply:
    return await station.raw("POST", f"{station.place}/heartbeat{query}", body, headers)


def good(station: Station) -> Headers:
    return station.signed("POST", f"{station.place}/heartbeat", BODY)


@pytest.mark.parametrize("broken", TABLE, ids=lambda broken: broken.name)
async def test_one_broken_element_is_enough(cloud: Cloud, broken: Broken) -> None:
    station = await cloud.claimed(await cloud.person())
    reply = await post(station, broken.spoil(good(station)), broken.body, broken.query)
    assert (reply.status, reply.reason) == (broken.status, broken.reason)
    assert reply.problem.code == "REG-004"
    assert (await station.beat()).status == 200, "the same station with nothing broken"


async def test_a_key_that_the_cloud_does_not_know(cloud: Cloud) -> None:
    stranger = cloud.station()
    stranger.device_id = ulid("dev_", 0)
    reply = await stranger.beat()
    assert (reply.status, reply.problem.code, reply.reason) == (401, "REG-004", "unknown_key")


async def test_a_known_keyid_with_another_key_behind_it(cloud: Cloud) -> None:
    """The signature is whole and covers the known name: only the key is another one."""
    station = await cloud.claimed(await cloud.person())
    target = f"{station.place}/heartbeat"
    given = {"content-type": "application/json"}
    request = Request("POST", URL(station.base).authority, target, given, BODY)
    for key, status, reason in (
        (ec.generate_private_key(ec.SECP256R1()), 401, "bad_signature"),
        (station.key, 200, ""),
    ):
        made = sign(request, signer(key), station.keyid, created=int(station.now()), nonce=station.nonce())
        reply = await post(station, given | made)
        assert reply.status == status, reply
        assert status == 200 or reply.reason == reason


async def test_an_unknown_key_does_not_speak_for_a_known_station(cloud: Cloud) -> None:
    station, stranger = await cloud.claimed(await cloud.person()), cloud.station()
    stranger.device_id = station.device_id
    for reply in (await stranger.beat(), await stranger.report(stranger.event())):
        assert (reply.status, reply.reason) == (401, "unknown_key")


async def test_a_copied_key_and_the_station_use_up_one_counter_and_the_log_shows_it(cloud: Cloud) -> None:
    """The copy is not kept out: whichever of the two is behind is refused, and that is noted."""
    ada = await cloud.person()
    station, copy = await cloud.claimed(ada), cloud.station()
    copy.key, copy.device_id, copy.serial = station.key, station.device_id, "c" * 16
    copy.boot, copy.sequence = station.boot, station.sequence
    assert (await station.beat()).status == 200
    assert (await copy.beat()).reason == "replayed_nonce", "the same number again"
    copy.boot += 1
    assert (await copy.beat()).status == 200, "a copy that was started anew is believed"
    assert (await station.beat()).reason == "replayed_nonce", "and now the station is behind"
    rows = (await ada.send("GET", "/v1/audit")).read(dict[str, Any])["entries"]
    noted = [row for row in rows if row["action"] == "replayed_nonce"]
    assert [row["device_id"] for row in noted] == [station.device_id] * 2


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-299, 200), (299, 200), (301, 401)])
async def test_a_clock_may_be_off_by_five_minutes(cloud: Cloud, seconds: int, status: int) -> None:
    station = await cloud.claimed(await cloud.person())
    created = int(station.now()) + seconds
    reply = await station.send("POST", f"{station.place}/heartbeat", BODY, created=created)
    assert reply.status == status
    if status == 401:
        assert reply.reason == "clock_skew"
        assert reply.problem.server_time.startswith("2026-")


async def test_a_wrong_clock_is_named_only_when_the_signature_holds(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    headers = station.signed("POST", f"{station.place}/heartbeat", BODY, created=0)
    reply = await post(station, headers, BODY + b" ")
    assert reply.reason == "bad_signature"


async def test_a_request_counts_once(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    headers = good(station)
    assert (await post(station, headers)).status == 200
    again = await post(station, headers)
    assert (again.status, again.reason) == (401, "replayed_nonce")


async def test_requests_may_overtake_each_other_within_the_window(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    statuses = []
    for sequence in (200, 190, 137, 136, 201):
        reply = await station.send("POST", f"{station.place}/heartbeat", BODY, nonce=f"1.{sequence}")
        statuses.append(reply.status)
    assert statuses == [200, 200, 200, 401, 200]


async def test_an_old_card_image_learns_the_boot_counter(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    station.boot = 9
    assert (await station.beat()).status == 200
    station.boot = 3
    reply = await station.beat()
    assert (reply.status, reply.reason, reply.problem.min_boot_ctr) == (401, "replayed_nonce", 10)
    station.boot = 10
    assert (await station.beat()).status == 200


async def test_a_forged_request_does_not_use_up_a_nonce(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    headers = good(station)
    assert (await post(station, headers, BODY + b" ")).status == 401
    assert (await post(station, headers)).status == 200


async def test_the_path_of_another_station_is_the_404_of_an_unknown_one(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    mine, other = await cloud.claimed(eve), await cloud.claimed(ada)
    own = mine.device_id
    answers = []
    for device_id in (other.device_id, ulid("dev_", 0), "nonsense"):
        mine.device_id = device_id
        reply = await mine.beat()
        answers.append((reply.status, reply.problem.title, reply.problem.detail, reply.reason))
    assert len(set(answers)) == 1
    assert answers[0][0] == 404
    mine.device_id = own
    assert (await mine.beat()).status == 200


async def test_a_station_that_is_suspended_may_not_send(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    change = update(schema.device).values(status="suspended")
    await cloud.database.write(lambda c: c.execute(change).close())
    replies = [await station.beat(), await station.report(station.event()), await station.claim_with_card()]
    for reply in replies:
        assert (reply.status, reply.reason) == (403, "not_active")


async def test_a_revoked_key_may_not_send(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    change = update(schema.device_key).values(status="revoked")
    await cloud.database.write(lambda c: c.execute(change).close())
    assert (await station.beat()).reason == "key_revoked"


async def test_attacks_are_in_the_audit_and_a_flood_of_them_is_not(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    headers = good(station)
    for _ in range(30):
        await post(station, headers, BODY + b" ")
    query = select(schema.audit.c.action).where(schema.audit.c.subject == station.keyid)
    actions = await cloud.database.read(lambda c: c.execute(query).scalars().all())
    assert actions == ["bad_signature"] * 20
    assert await cloud.database.read(audit.first_broken) is None


async def test_a_large_body_is_refused_before_it_is_read(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    reply = await station.beat(boot_id="x" * 300_000)
    assert (reply.status, reply.reason) == (413, "too_large")
