"""Something is wrong? What was found, problems first, looked for once for all who ask; and the guide."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from portal import guide
from portal.fakes import FINDINGS, IN_SETUP, RUNNING, WAITING_FOR_CLAIM, FakeStation
from portal.pages.help import Checkup
from portal.view import NOTHING, Finding, Sentence, Snapshot
from tests.portal.phone import Phone
from tests.portal.test_pages import PAGES


def looked(station: FakeStation) -> int:
    return [name for name, _ in station.asked].count("diagnose")


async def test_problems_come_first_each_with_evidence_one_action_and_its_code(phone: Phone) -> None:
    page = await phone.open("/help")
    told = [
        "no internet name can be looked up (DNS). NET-012",
        "What was seen DNS of 192.168.1.1 did not answer within 3 s.",
        "What to do Start the router again",
        "less than what is recommended for a station. DOC-013",
        "Check again",
        "Not known yet",
        "Cloud This could not be checked",
        "In order",
        "Network By Wi-Fi, signal 71 %, address 192.168.1.40.",
    ]
    text = page.text.replace("\u2068", "").replace("\u2069", "")
    places = [text.index(part) for part in told]
    assert places == sorted(places)


async def test_a_station_without_faults_says_so(phone: Phone, station: FakeStation) -> None:
    station.findings = FINDINGS[:1]
    page = await phone.open("/help")
    assert "The station found nothing that is wrong." in page.text
    assert "What to do" not in page.text


@pytest.mark.parametrize(
    ("snapshot", "path"),
    [(snapshot, path) for snapshot, path in PAGES.values() if path != "/help"],
    ids=[name for name, (_, path) in PAGES.items() if path != "/help"],
)
async def test_help_can_be_reached_from_every_page(
    phone: Phone, station: FakeStation, snapshot: Snapshot, path: str
) -> None:
    await station.show(snapshot)
    assert (await phone.open(path)).link("Something is wrong?") == "/help"


@pytest.mark.parametrize("snapshot", [IN_SETUP, WAITING_FOR_CLAIM, RUNNING])
async def test_help_is_there_in_every_phase_without_a_redirection(
    phone: Phone, station: FakeStation, snapshot: Snapshot
) -> None:
    await station.show(snapshot)
    assert (await phone.open("/help")).path == "/help"


async def test_help_does_not_lead_to_itself_and_a_code_s_page_leads_to_it(phone: Phone) -> None:
    assert 'href="/help"' not in (await phone.open("/help")).html
    assert 'href="/help"' in (await phone.open("/help/NET-001")).html


async def test_loading_again_causes_no_storm(phone: Phone, station: FakeStation) -> None:
    await asyncio.gather(*(phone.open("/help") for _ in range(12)))
    assert looked(station) == 1


async def test_a_person_can_look_again_at_once(phone: Phone, station: FakeStation) -> None:
    page = await phone.open("/help")
    station.findings = (replace(FINDINGS[1], code="NET-004"),)
    again = await phone.send(page, "/help/again")
    assert again.path == "/help"
    assert "NET-004" in again.text
    assert looked(station) == 2


async def test_the_page_says_when_it_was_checked(phone: Phone) -> None:
    assert "As of 2026-01-15 12:00:00 UTC" in (await phone.open("/help")).text


async def test_old_findings_are_looked_for_again_and_one_look_serves_all_who_wait() -> None:
    station, time = FakeStation(), 0.0
    gate = asyncio.Event()
    honest = station.diagnose

    async def slow() -> Sequence[Finding]:
        await gate.wait()
        return await honest()

    station.diagnose = slow  # type: ignore[method-assign]
    checkup = Checkup(station, lambda: time)
    waiting = [asyncio.create_task(checkup.look()) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*waiting)
    assert looked(station) == 1
    assert all(answer == answers[0] for answer in answers)
    time = 9.9
    await checkup.look()
    assert looked(station) == 1
    time = 10.1
    await checkup.look()
    assert looked(station) == 2


async def test_what_stands_in_evidence_cannot_become_markup(phone: Phone, station: FakeStation) -> None:
    evil = Sentence("%(host)s is %(address)s.", {"host": "<script>x</script>", "address": '"><b>'})
    station.findings = (Finding("NET-012", Sentence("Cloud"), "fail", evil, (evil,), NOTHING),)
    html = (await phone.open("/help")).html
    assert "<script>x" not in html
    assert "<b>" not in html.replace("<b>KXPMVT", "").replace('<b dir="ltr">', "")


# --- the guide ----------------------------------------------------------------------------------------------


async def test_a_code_leads_to_its_row_of_the_guide(phone: Phone) -> None:
    page = await phone.follow(await phone.open("/help"), "NET-012")
    assert page.path == "/help/NET-012"
    assert "no name can be looked up (DNS)" in page.text
    assert 'lang="en"' in page.html
    assert (await phone.follow(page, "Something is wrong?")).path == "/help"


async def test_a_code_that_the_guide_does_not_know_is_not_found(phone: Phone, station: FakeStation) -> None:
    await station.show(RUNNING)
    for path in ("/help/NET-999", "/help/x"):
        assert (await phone.open(path)).status == 404


def test_the_guide_is_the_page_of_the_documentation() -> None:
    from tests.test_docs import rows

    explained = rows("troubleshooting.md", r"[A-Z]{2,4}-[0-9]{3}")
    known = {code: guide.find(code) for code in explained}
    assert all(known.values())
    assert all("](" not in row.meaning + row.remedy for row in known.values() if row)
