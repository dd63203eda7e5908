"""The page that says how far each phone came, where it stands, and what to do about it."""

from __future__ import annotations

import json
import re

import pytest

from portal.fakes import RUNNING, FakeStation
from portal.pages.phones import ADVICE, LABELS, WRONG_KEY, advice, furthest
from portal.view import FUNNEL, NOTHING, PhoneTrail
from tests.portal.phone import Phone


def test_every_step_has_a_word_and_every_step_but_the_last_an_advice() -> None:
    assert list(LABELS) == list(FUNNEL)
    assert list(ADVICE) == list(FUNNEL[:-1])


STANDS: list[tuple[tuple[str, ...], str]] = [
    ((), ""),
    (("joined",), "joined"),
    (("lease",), "lease"),
    (("lease", "name"), "name"),
    (("probe", "lease"), "probe"),
    (("page",), "page"),  # over the cable there are no first steps
    (("lease", "name", "probe", "page", "form"), "form"),
    (("attempt", "page"), "attempt"),
    (FUNNEL, "result"),
]


@pytest.mark.parametrize(("steps", "stands"), STANDS, ids=str)
def test_a_phone_stands_at_the_furthest_step_that_it_took_in_whatever_order(
    steps: tuple[str, ...], stands: str
) -> None:
    trail = PhoneTrail("10.42.0.5", dict.fromkeys(steps, 1.0))
    assert furthest(trail) == stands
    assert str(advice(trail)) == ADVICE.get(stands, "")


def test_who_saw_the_answer_needs_no_advice() -> None:
    assert advice(PhoneTrail("10.42.0.5", {"result": 3.0})) is NOTHING


def test_a_wrong_key_is_told_until_the_phone_has_an_address() -> None:
    assert str(advice(PhoneTrail("#3f9a1c", {"joined": 1.0}, wrong_key=2.0))) == WRONG_KEY
    got_in = PhoneTrail("10.42.0.5", {"joined": 1.0, "lease": 9.0}, wrong_key=2.0)
    assert str(advice(got_in)) == ADVICE["lease"]


async def test_the_page_has_a_row_per_phone_and_a_column_per_step(phone: Phone, station: FakeStation) -> None:
    station.trails = {"10.42.0.57": {"lease": 3.1, "name": 4.0, "probe": 200.0}}
    page = await phone.open("/phones")
    assert re.findall(r'<th scope="col"[^>]*>([^<]+)', page.html) == ["Phone", *LABELS.values()]
    assert re.findall(r"<td>([^<]+)", page.html) == ["–", "3 s", "4 s", "3 min", "–", "–", "–", "–"]
    assert ADVICE["probe"] in page.text
    assert page.refresh is None, "it is loaded again by a link, not by itself"


async def test_a_phone_that_saw_the_answer_has_times_and_no_notice(
    phone: Phone, station: FakeStation
) -> None:
    station.trails = {"10.42.0.57": dict.fromkeys(FUNNEL, 2.0)}
    page = await phone.open("/phones")
    assert page.text.count("10.42.0.57") == 1
    assert "notice" not in page.html


async def test_without_any_phone_the_page_says_so(phone: Phone, station: FakeStation) -> None:
    station.trails = {}
    page = await phone.open("/phones")
    assert "No phone was seen yet." in page.text
    assert "<table" not in page.html


async def test_the_status_page_leads_there_in_every_state(phone: Phone, station: FakeStation) -> None:
    for snapshot in (station.snapshot(), RUNNING):
        await station.show(snapshot)
        page = await phone.follow(await phone.open("/status"), "Phones")
        assert (page.status, page.path) == (200, "/phones")


async def test_the_same_is_there_for_programs(phone: Phone, station: FakeStation) -> None:
    station.trails = {"10.42.0.57": {"lease": 3.1}, "10.42.0.80": {"result": 9.0}}
    page = await phone.open("/api/phones")
    assert page.headers["Content-Type"].startswith("application/json")
    assert page.headers["Cache-Control"] == "no-store"
    nothing = dict.fromkeys(FUNNEL)
    assert json.loads(page.html) == {
        "phones": [
            {
                "address": "10.42.0.80",
                "steps": nothing | {"result": 9.0},
                "reached": "result",
                "wrong_key": None,
                "advice": None,
            },
            {
                "address": "10.42.0.57",
                "steps": nothing | {"lease": 3.1},
                "reached": "lease",
                "wrong_key": None,
                "advice": ADVICE["lease"],
            },
        ]
    }


async def test_what_a_phone_does_on_the_portal_is_seen_there(phone: Phone, station: FakeStation) -> None:
    station.trails = {}
    page = await phone.open("/setup")
    await phone.follow(page, "Home-5G")
    [row] = json.loads((await phone.open("/api/phones")).html)["phones"]
    assert (row["address"], row["reached"]) == ("127.0.0.1", "form")


async def test_looking_at_the_phones_is_no_step_and_no_last_page(phone: Phone, station: FakeStation) -> None:
    station.trails = {}
    await station.show(RUNNING)
    for path in ("/phones", "/api/phones"):
        await phone.open(path)
    assert station.seen == []
    async with phone.session.get(
        phone.base + "/generate_204", headers={"Host": "x.example"}, allow_redirects=False
    ) as reply:
        assert reply.status == 302


async def test_sixty_four_phones_fit_into_the_page(phone: Phone, station: FakeStation) -> None:
    station.trails = {f"10.42.0.{number}": dict.fromkeys(FUNNEL[:-1], 1.0) for number in range(10, 74)}
    async with phone.session.get(phone.base + "/phones", headers={"Accept-Encoding": "gzip"}) as response:
        await response.read()
        assert response.content.total_raw_bytes < 20_000
