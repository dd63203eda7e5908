"""Claims over real HTTP: by token, by card, in either order, with wrong codes and lost answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import func, select

from cloud.keys import CLAIMS
from cloud.registry import records
from cloud.store import schema
from protocol.messages import ClaimComplete, ClaimPending, ValidateAnswer
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Reply, Station

pytestmark = pytest.mark.usefixtures("no_blocking")


async def rows(cloud: Cloud, table: Any) -> int:
    query = select(func.count()).select_from(table)
    return int(await cloud.database.read(lambda connection: connection.execute(query).scalar_one()))


async def claimed_by_pin(cloud: Cloud, owner: Person, station: Station, **wish: Any) -> ClaimComplete:
    claim_id = await station.wait_on_card()
    assert await owner.named(short_id=station.short_id, pin=station.pin, **wish) == claim_id
    return await station.finish(claim_id)


def wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**6:06d}"


# --- mode A: by token ---------------------------------------------------------------------------------------


async def test_a_token_claims_a_station_in_one_message(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    opened = await ada.token(name="Roof", expires_in=300)
    assert (await ada.claim_status(opened["claim_id"]))["status"] == "pending"
    reply = await station.claim_with_token(opened["claim_token"])
    assert reply.status == 201
    complete = station.take(reply)
    assert complete.device_name == "Roof"
    assert complete.private_key is None
    status = await ada.claim_status(opened["claim_id"])
    assert (status["status"], status["progress"], status["device_id"]) == (
        "success",
        100,
        complete.device_id,
    )


@pytest.mark.parametrize(("wished", "given"), [(1, 60), (60, 60), (120, 120), (300, 300), (86400, 300)])
async def test_a_token_lives_between_one_and_five_minutes(cloud: Cloud, wished: int, given: int) -> None:
    opened = await (await cloud.person()).token(expires_in=wished)
    assert opened["expires_in"] == given


async def test_a_token_is_void_one_second_after_its_time(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    token = (await ada.token(expires_in=60))["claim_token"]
    cloud.clock.move(61)
    reply = await station.claim_with_token(token)
    assert (reply.status, reply.problem.code, reply.reason) == (410, "REG-002", "claim_expired")
    assert await rows(cloud, schema.device) == 0


async def test_an_unknown_token_is_refused(cloud: Cloud) -> None:
    reply = await cloud.station().claim_with_token("mct_" + "x" * 43)
    assert (reply.status, reply.problem.code, reply.reason) == (401, "REG-004", "unknown_token")


async def test_a_lost_answer_is_given_again_with_the_same_certificate(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    token = (await ada.token())["claim_token"]
    first = await station.claim_with_token(token)
    cloud.clock.move(14 * 60)
    again = await station.claim_with_token(token)
    assert (first.status, again.status) == (201, 200)
    one, other = first.read(ClaimComplete), again.read(ClaimComplete)
    assert one.device_certificate == other.device_certificate
    assert one.device_id == other.device_id
    assert one.server_time < other.server_time, "the clock still learns the time of today"
    assert await rows(cloud, schema.certificate) == 1


async def test_a_used_token_tells_another_key_nothing(cloud: Cloud) -> None:
    ada, thief = await cloud.person(), cloud.station()
    opened = await ada.token()
    assert (await cloud.station().claim_with_token(opened["claim_token"])).status == 201
    reply = await thief.claim_with_token(opened["claim_token"])
    assert (reply.status, reply.problem.code) == (409, "REG-003")
    assert reply.problem.device is None
    assert "dev_" not in reply.body.decode()


async def test_a_token_works_on_a_station_whose_clock_is_years_off(cloud: Cloud) -> None:
    ada = await cloud.person()
    for created in (0, 2_000_000_000):
        token = (await ada.token())["claim_token"]
        assert (await cloud.station().claim_with_token(token, created=created)).status == 201


async def test_a_token_works_once_however_many_stations_try_at_once(cloud: Cloud) -> None:
    ada = await cloud.person()
    token = (await ada.token())["claim_token"]
    replies = await asyncio.gather(*(cloud.station().claim_with_token(token) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    assert await rows(cloud, schema.device) == 1


async def test_the_same_station_claimed_again_by_its_owner_stays_one_device(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    before = station.device_id
    reply = await station.claim_with_token((await ada.token())["claim_token"])
    assert (reply.status, station.take(reply).device_id) == (201, before)
    assert await rows(cloud, schema.device) == 1


async def test_a_station_of_somebody_else_cannot_be_claimed_by_token(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station = await cloud.claimed(ada)
    opened = await eve.token()
    reply = await station.claim_with_token(opened["claim_token"])
    assert (reply.status, reply.problem.code) == (409, "REG-003")
    status = await eve.claim_status(opened["claim_id"])
    assert (status["status"], status["error"], status["error_code"]) == (
        "expired",
        "already_registered",
        "REG-003",
    )
    assert (await station.beat()).status == 200, "its owner's station goes on"


async def test_a_person_has_at_most_five_open_tokens(cloud: Cloud) -> None:
    ada = await cloud.person()
    for _ in range(5):
        await ada.token()
    reply = await ada.send("POST", "/v1/devices/claim-token", {})
    assert (reply.status, reply.problem.code, reply.reason) == (429, "REG-006", "too_many_open")
    assert 0 < int(reply.headers["Retry-After"]) <= 300


async def test_a_token_is_stored_only_as_a_hash(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    token = (await ada.token())["claim_token"]
    await station.wait_on_card()
    stored = await asyncio.to_thread(cloud.stored)
    assert station.short_id.encode() in stored, "the search looks at the right rows"
    for secret in (token, station.link_secret):
        assert secret.encode() not in stored


# --- mode B: by card ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["pin", "link_secret"])
async def test_a_person_names_a_waiting_station(cloud: Cloud, code: str) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    assert (await station.validate(claim_id)).status == 202
    wish = {"short_id": station.short_id, code: getattr(station, code), "name": "Roof"}
    assert await ada.named(**wish) == claim_id
    status = await ada.claim_status(claim_id)
    assert (status["status"], status["progress"]) == ("claiming", 70)
    complete = await station.finish(claim_id)
    status = await ada.claim_status(claim_id)
    assert (status["status"], status["progress"], status["device_id"]) == (
        "success",
        100,
        complete.device_id,
    )
    assert complete.device_name == "Roof"


@pytest.mark.parametrize("code", ["pin", "link_secret"])
async def test_a_person_may_come_before_the_station(cloud: Cloud, code: str) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await ada.named(short_id=station.short_id, **{code: getattr(station, code)})
    assert (await ada.claim_status(claim_id))["status"] == "pending"
    reply = await station.claim_with_card()
    assert reply.status == 202
    assert reply.read(ClaimPending).claim_id == claim_id, "one record from the first word on"
    await station.finish(claim_id)
    assert (await ada.claim_status(claim_id))["status"] == "success"


async def test_codes_are_read_as_people_type_them(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    short, pin = station.short_id.lower(), station.pin
    typed = {"short_id": f" meteor-{short[:3]} {short[3:]}", "pin": f"{pin[:3]} {pin[3:]}"}
    assert await ada.named(**typed) == claim_id


async def test_the_answer_does_not_tell_whether_a_station_waits(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    await station.wait_on_card()
    wishes = (
        {"short_id": "BCDFGH", "pin": "000000"},
        {"short_id": station.short_id, "pin": wrong(station.pin)},
        {"short_id": station.short_id, "pin": station.pin},
    )
    shapes = []
    for wish in wishes:
        reply = await ada.initiate(**wish)
        answer = reply.read(dict[str, Any])
        shapes.append((reply.status, sorted(answer), answer["registrationToken"], answer["deviceId"]))
    assert len(set(map(str, shapes))) == 1


async def test_a_wrong_pin_ends_the_persons_own_record_only(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    missed = await ada.named(short_id=station.short_id, pin=wrong(station.pin))
    assert missed != claim_id
    status = await ada.claim_status(missed)
    assert (status["status"], status["error"], status["error_code"]) == ("expired", "wrong_code", "REG-004")
    assert await ada.named(short_id=station.short_id, pin=station.pin) == claim_id
    await station.finish(claim_id)


async def test_the_fifth_wrong_pin_voids_the_card_and_a_new_pin_works(cloud: Cloud) -> None:
    ada, station, neighbour = await cloud.person(), cloud.station(), cloud.station()
    claim_id, other = await station.wait_on_card(), await neighbour.wait_on_card()
    for _ in range(5):
        guesser = await cloud.person()
        await guesser.named(short_id=station.short_id, pin=wrong(station.pin))
    over = await station.validate(claim_id)
    assert (over.status, over.problem.code, over.reason) == (410, "REG-002", "too_many_attempts")
    late = await ada.named(short_id=station.short_id, pin=station.pin)
    assert late != claim_id, "the burnt PIN opens nothing any more"
    station.pin = wrong(wrong(station.pin))
    reply = await station.claim_with_card()
    assert reply.status == 202
    assert (await ada.claim_status(late))["error"] == "wrong_code", "the old PIN, judged against the new card"
    claim_id = reply.read(ClaimPending).claim_id
    assert await ada.named(short_id=station.short_id, pin=station.pin) == claim_id
    await station.finish(claim_id)
    assert (await neighbour.validate(other)).status == 202, "the neighbour noticed nothing"


async def test_earlier_guesses_are_judged_when_the_station_comes_oldest_first(cloud: Cloud) -> None:
    station, ada = cloud.station(), await cloud.person()
    guesses = []
    for _ in range(2):
        eve = await cloud.person()
        guesses.append((eve, await eve.named(short_id=station.short_id, pin=wrong(station.pin))))
        cloud.clock.move(1)
    mine = await ada.named(short_id=station.short_id, pin=station.pin)
    assert await station.wait_on_card() == mine
    for eve, guess in guesses:
        assert (await eve.claim_status(guess))["error"] == "wrong_code"
    await station.finish(mine)


async def test_five_earlier_guesses_refuse_the_card_that_they_aimed_at(cloud: Cloud) -> None:
    station = cloud.station()
    for _ in range(5):
        eve = await cloud.person()
        await eve.named(short_id=station.short_id, pin=wrong(station.pin))
    reply = await station.claim_with_card()
    assert (reply.status, reply.reason) == (410, "too_many_attempts")
    station.pin = wrong(wrong(station.pin))
    assert (await station.claim_with_card()).status == 202


async def test_guesses_are_charged_to_the_guesser(cloud: Cloud) -> None:
    eve, ada, station = await cloud.person(), await cloud.person(), cloud.station()
    for number in range(5):
        assert (await eve.initiate(short_id="BCDFGH", pin=f"{number:06d}")).status == 200
    reply = await eve.initiate(short_id="BCDFGH", pin="000009")
    assert (reply.status, reply.problem.code) == (429, "REG-006")
    assert int(reply.headers["Retry-After"]) == reply.problem.retry_after
    await claimed_by_pin(cloud, ada, station)


async def test_malformed_attempts_cost_a_try_too(cloud: Cloud) -> None:
    eve = await cloud.person()
    bodies: list[Any] = [
        {"short_id": "AEIOUY", "pin": "1"},
        b"{",
        {"short_id": "BCDFGH"},
        {"pin": "123456"},
        {"unknown": 1},
    ]
    for body in bodies:
        reply = await eve.send("POST", "/v1/devices/register/initiate", body)
        assert (reply.status, reply.problem.code) == (422, "REG-007"), body
    assert (await eve.initiate()).status == 429


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"short_id": "AEIOUY", "pin": "123456"}, "$.short_id"),
        ({"short_id": "BCDFGH", "pin": "12345"}, "$.pin"),
        ({"short_id": "BCDFGH", "pin": "12345x"}, "$.pin"),
        ({"short_id": "BCDFGH", "link_secret": "short"}, "$.link_secret"),
        ({"short_id": "BCDFGH"}, "$.pin"),
        ({"pin": "123456"}, "$.short_id"),
        ({"action": "deny"}, "$.claim_id"),
        ({"name": " "}, "$.name"),
        ({"location": {"latitude": 91, "longitude": 0}}, "$.location.latitude"),
    ],
)
async def test_a_refusal_names_the_field(cloud: Cloud, wish: dict[str, Any], field: str) -> None:
    reply = await (await cloud.person()).initiate(**wish)
    assert (reply.status, reply.problem.field) == (422, field)


async def test_a_station_that_asks_again_gets_the_same_claim(cloud: Cloud) -> None:
    station = cloud.station()
    claims = {await station.wait_on_card() for _ in range(10)}
    assert len(claims) == 1
    assert await rows(cloud, schema.claim) == 1


async def test_two_requests_of_a_station_at_once_make_one_claim(cloud: Cloud) -> None:
    station = cloud.station()
    requests = [(station.card_request(), station.signed) for _ in range(4)]
    replies = await asyncio.gather(
        *(station.send("POST", "/v1/devices/claim", request) for request, _ in requests)
    )
    assert {reply.status for reply in replies} == {202}
    assert len({reply.read(ClaimPending).claim_id for reply in replies}) == 1


async def test_another_pin_of_the_same_station_gives_no_new_tries(cloud: Cloud) -> None:
    station = cloud.station()
    claim_id = await station.wait_on_card()
    for number in range(4):
        eve = await cloud.person()
        await eve.named(short_id=station.short_id, pin=wrong(station.pin))
        station.pin = f"{number:06d}"
        assert await station.wait_on_card() == claim_id
    await (await cloud.person()).named(short_id=station.short_id, pin="999999")
    assert (await station.validate(claim_id)).reason == "too_many_attempts"


async def test_a_double_click_is_one_claim(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    first = await ada.named(short_id=station.short_id, pin=station.pin)
    assert await ada.named(short_id=station.short_id, pin=station.pin) == first
    await station.wait_on_card()
    assert await ada.named(short_id=station.short_id, pin=station.pin) == first
    await station.finish(first)
    assert await ada.named(short_id=station.short_id, pin=station.pin) == first
    assert await rows(cloud, schema.claim) == 1


async def test_who_comes_second_with_the_right_pin_does_not_get_the_station(cloud: Cloud) -> None:
    ada, eve, station = await cloud.person(), await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    assert await ada.named(short_id=station.short_id, pin=station.pin) == claim_id
    assert await eve.named(short_id=station.short_id, pin=station.pin) != claim_id
    complete = await station.finish(claim_id)
    listed = await eve.send("GET", "/v1/devices")
    assert listed.read(dict[str, Any])["devices"] == []
    assert (await ada.send("GET", f"/v1/devices/{complete.device_id}")).status == 200


async def test_a_claim_runs_out_after_a_quarter_of_an_hour(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    expected = await ada.named(short_id="BCDFGH", pin="123456")
    claim_id = await station.wait_on_card()
    cloud.clock.move(901)
    over = await station.validate(claim_id)
    assert (over.status, over.problem.code, over.reason) == (410, "REG-002", "claim_expired")
    status = await ada.claim_status(expected)
    assert (status["status"], status["error"]) == ("expired", "claim_expired")
    assert await station.wait_on_card() != claim_id


async def test_a_denied_claim_tells_the_station_so(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    reply = await ada.initiate(action="deny", claim_id=claim_id)
    assert reply.status == 200
    over = await station.validate(claim_id)
    assert (over.status, over.reason) == (403, "claim_denied")
    assert await station.wait_on_card() != claim_id


# --- challenge and confirmation -----------------------------------------------------------------------------


async def bound(cloud: Cloud) -> tuple[Person, Station, str]:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    return ada, station, claim_id


async def test_asking_too_often_is_answered_with_slow_down(cloud: Cloud) -> None:
    station = cloud.station()
    claim_id = await station.wait_on_card()
    statuses = []
    for pause in (0, 1, 3, 5, 3.9, 4.1):
        cloud.clock.move(pause)
        reply = await station.validate(claim_id)
        statuses.append(reply.status)
        if reply.status == 429:
            assert (reply.reason, reply.headers["Retry-After"]) == ("slow_down", "5")
    assert statuses == [202, 429, 202, 202, 429, 202]


async def test_a_confirmation_whose_answer_was_lost_gets_the_same_bytes(cloud: Cloud) -> None:
    _, station, claim_id = await bound(cloud)
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    first = await station.confirm(challenge)
    again = await station.confirm(challenge)
    assert (first.status, again.status) == (201, 200)
    assert first.read(ClaimComplete).device_certificate == again.read(ClaimComplete).device_certificate
    assert await rows(cloud, schema.certificate) == 1


async def test_a_station_that_lost_its_answer_gets_it_by_its_key_at_any_time(cloud: Cloud) -> None:
    _, station, claim_id = await bound(cloud)
    complete = await station.finish(claim_id)
    for days, same in ((1, True), (58, True), (10, False)):
        cloud.clock.move(days * 86400)
        reply = await station.claim_with_card()
        assert reply.status == 200
        again = reply.read(ClaimComplete)
        assert again.device_id == complete.device_id
        assert (again.device_certificate == complete.device_certificate) is same
    assert await rows(cloud, schema.device) == 1


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"nonce": "x" * 43}, 401, "challenge_expired"),
        ({"challenge_id": "chl_" + "0" * 26}, 401, "challenge_expired"),
        ({"csr": "another key"}, 422, "bad_csr"),
        ({"csr": "-----BEGIN nothing"}, 422, "bad_csr"),
        ({"claim_id": "clm_" + "0" * 26}, 404, "not_found"),
    ],
)
async def test_a_confirmation_with_one_wrong_part_is_refused(
    cloud: Cloud, change: dict[str, str], status: int, reason: str
) -> None:
    _, station, claim_id = await bound(cloud)
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    if change.get("csr") == "another key":
        change = {"csr": station.csr(ec.generate_private_key(ec.SECP256R1()))}
    reply = await station.confirm(challenge, **change)
    assert (reply.status, reply.reason) == (status, reason)
    assert await rows(cloud, schema.device) == 0
    assert (await station.confirm(challenge)).status == 201, "the right one is still good"


async def test_a_challenge_lives_two_minutes(cloud: Cloud) -> None:
    _, station, claim_id = await bound(cloud)
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    cloud.clock.move(121)
    assert (await station.confirm(challenge)).reason == "challenge_expired"
    await station.finish(claim_id)


async def test_the_fifth_wrong_challenge_ends_the_claim(cloud: Cloud) -> None:
    _, station, claim_id = await bound(cloud)
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    for _ in range(5):
        assert (await station.confirm(challenge, nonce="x" * 43)).status == 401
    assert (await station.confirm(challenge)).reason == "too_many_attempts"


async def test_another_station_cannot_validate_or_confirm_a_claim(cloud: Cloud) -> None:
    _, station, claim_id = await bound(cloud)
    thief = cloud.station()
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    replies = [await thief.validate(claim_id), await thief.confirm(challenge)]
    replies.append(await thief.send("GET", f"/v1/devices/claim-status/{claim_id}"))
    unknown = await thief.validate("clm_" + "0" * 26)
    for reply in replies:
        assert (reply.status, reply.problem.detail) == (404, unknown.problem.detail)


async def test_confirm_out_of_order_is_refused(cloud: Cloud) -> None:
    station = cloud.station()
    claim_id = await station.wait_on_card()
    reply = await station.send(
        "POST",
        "/v1/devices/register/confirm",
        {"claim_id": claim_id, "challenge_id": "x", "nonce": "x", "csr": station.csr()},  # type: ignore[arg-type]
    )
    assert (reply.status, reply.reason) == (401, "challenge_expired")
    assert await rows(cloud, schema.device) == 0


async def test_the_claims_device_may_watch_it_too(cloud: Cloud) -> None:
    station = cloud.station()
    claim_id = await station.wait_on_card()
    reply = await station.send("GET", f"/v1/devices/claim-status/{claim_id}")
    assert reply.status == 200
    assert reply.read(dict[str, Any])["status"] == "scanning"


async def test_progress_never_falls(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    heard = []
    subscription = cloud.bus.subscribe(ada.account_id)
    claim_id = await ada.named(short_id=station.short_id, pin=station.pin)
    await station.wait_on_card()
    await station.finish(claim_id)
    with subscription:
        async for news in subscription:
            heard.append((news.data["status"], news.data["progress"]))
            if news.data["status"] == "success":
                break
    assert heard == [("pending", 10), ("claiming", 70), ("success", 100)]


# --- certificate requests -----------------------------------------------------------------------------------


async def test_only_the_key_of_a_certificate_request_counts(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    leaf = x509.load_pem_x509_certificate(station.certificate.encode())
    assert leaf.public_key() == station.key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN={station.device_id}"


def damaged(csr: str) -> str:
    lines = csr.splitlines()
    lines[-2] = ("A" if lines[-2][3] != "A" else "B").join((lines[-2][:3], lines[-2][4:]))
    return "\n".join(lines)


@pytest.mark.parametrize("kind", ["nothing", "rsa", "p384", "damaged", "other key", "umlaut"])
async def test_a_bad_certificate_request_is_refused_before_anything_else(cloud: Cloud, kind: str) -> None:
    station = cloud.station()
    requests: dict[str, Callable[[], str]] = {
        "nothing": lambda: "-----BEGIN CERTIFICATE REQUEST-----\n",
        "rsa": rsa_csr,
        "p384": lambda: station.csr(ec.generate_private_key(ec.SECP384R1())),
        "damaged": lambda: damaged(station.csr()),
        "other key": lambda: station.csr(ec.generate_private_key(ec.SECP256R1())),
        "umlaut": lambda: "ä",
    }
    reply = await station.claim_with_card(csr=requests[kind]())
    expected = (401, "REG-004") if kind == "other key" else (422, "REG-001")
    assert (reply.status, reply.problem.code) == expected
    assert await rows(cloud, schema.claim) == 0


def rsa_csr() -> str:
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


# --- upkeep and limits --------------------------------------------------------------------------------------


async def test_the_sweeper_tells_the_person_and_forgets_after_a_day(cloud: Cloud) -> None:
    ada = await cloud.person()
    subscription = cloud.bus.subscribe(ada.account_id)
    claim_id = await ada.named(short_id="BCDFGH", pin="123456")
    cloud.clock.move(901)
    await cloud.app[CLAIMS].sweep()
    with subscription:
        heard = [news.data["status"] async for news in take(subscription, 2)]
    assert heard == ["pending", "expired"]
    cloud.clock.move(86400)
    await cloud.app[CLAIMS].sweep()
    assert (await ada.send("GET", f"/v1/devices/claim-status/{claim_id}")).status == 404


async def take(source: AsyncIterator[Any], count: int) -> AsyncIterator[Any]:
    while count:
        yield await anext(source)
        count -= 1


async def test_a_key_may_start_six_cards_an_hour(cloud: Cloud) -> None:
    station = cloud.station()
    for _ in range(6):
        claim_id = await station.wait_on_card()
        # Its time is not awaited: the limit counts on the same clock, and would let the next one through.
        await cloud.database.write(lambda c, id=claim_id: records.expire(c, id, "cancelled", "REG-002"))  # type: ignore[misc]
    reply: Reply = await station.claim_with_card()
    assert (reply.status, reply.problem.code) == (429, "REG-006")
