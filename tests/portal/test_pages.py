"""Every page in every language: complete, small, and saying what it must."""

from __future__ import annotations

import gettext
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from language import pseudo
from language.languages import NAMES, Language, Languages
from portal.countries import names
from portal.fakes import (
    CARD,
    CONNECTING,
    IN_SETUP,
    NEARBY,
    RUNNING,
    WAITING_FOR_CLAIM,
    FakeStation,
    failed_attempt,
)
from portal.languages import load
from portal.sentences import refusal
from portal.server import create_app, serving
from portal.settings import PortalSettings
from portal.view import Breaker, Clock, NetworkInfo, Notice, Recording, Sentence, Snapshot, Update
from tests.portal.phone import Phone

STATIC = Path(__file__).parents[2] / "portal" / "static"

DAMAGED = "The buffer was damaged and was replaced; messages recovered: %(count)s."
LOOK_AT_CARD = "Look at the card of the station; recording goes on."

FAILED = replace(IN_SETUP, attempt=failed_attempt("NET-001", b"Home-5G"))
ACTIVATING = replace(WAITING_FOR_CLAIM, state="activating", claimed=True, card=None)
TROUBLED = replace(
    RUNNING,
    state="reconnecting",
    tone="working",
    network=NetworkInfo(),
    breaker=Breaker("open", Sentence("Nobody answers at the address of the cloud."), 42.0),
    clock=Clock(),
    recording=Recording(active=False, detail=Sentence("The disk is nearly full.")),
    warnings=(Notice("BUF-006", Sentence(DAMAGED, {"count": "7"}), Sentence(LOOK_AT_CARD)),),
    log=tuple(f"12:00:{second:02d} WARNING uplink refused" for second in range(40)),
)

TAKEN_BACK = Update(
    version="1.1.0",
    former="1.0.0",
    step=Sentence("The update was taken back."),
    percent=100,
    reason=Sentence("The new version had no network, and the former one had."),
    action=Sentence("Nothing: the station works with its former version and waits for a newer one."),
    code="UPD-023",
    result="taken_back",
)

PAGES: dict[str, tuple[Snapshot, str]] = {
    "list": (IN_SETUP, "/setup"),
    "list after a failure": (FAILED, "/setup"),
    "join": (IN_SETUP, f"/setup?network={b'Home-5G'.hex()}"),
    "join weak": (IN_SETUP, f"/setup?network={b'dlink'.hex()}"),
    "join open": (IN_SETUP, f"/setup?network={NEARBY[2].ssid.hex()}"),
    "join enterprise": (IN_SETUP, f"/setup?network={b'eduroam'.hex()}"),
    "join other": (IN_SETUP, "/setup?network=other&show"),
    "progress": (CONNECTING, "/progress"),
    "starting": (replace(IN_SETUP, state="initializing"), "/progress"),
    "failed": (FAILED, "/progress"),
    "claim on the hotspot": (IN_SETUP, "/claim"),
    "claim": (WAITING_FOR_CLAIM, "/claim?code=taken"),
    "claim used up": (replace(WAITING_FOR_CLAIM, card=replace(CARD, valid=False)), "/claim"),
    "claim without a card": (replace(IN_SETUP, card=None), "/claim"),
    "claim code": (IN_SETUP, "/claim?enter"),
    "activating": (ACTIVATING, "/claim"),
    "status": (RUNNING, "/status"),
    "status with an update": (replace(RUNNING, update=TAKEN_BACK), "/status"),
    "status blinking": (WAITING_FOR_CLAIM, "/status?done=locate"),
    "status troubled": (TROUBLED, "/status"),
    "status in setup": (IN_SETUP, "/status"),
    "technician's PIN": (RUNNING, "/technician"),
    "list with a guess": (replace(IN_SETUP, country="AT", country_by="guess", country_guess="AT"), "/setup"),
    "join 5 GHz": (replace(IN_SETUP, country_guess="AT"), f"/setup?network={b'Observatory'.hex()}"),
    "country": (replace(IN_SETUP, country="AT", country_by="guess", country_guess="AT"), "/country"),
    "country in the settings": (replace(RUNNING, country="AT", country_by="settings"), "/country"),
    "phones": (IN_SETUP, "/phones"),
    "help": (RUNNING, "/help"),
    "help in setup": (IN_SETUP, "/help"),
    "not found": (RUNNING, "/nowhere"),
}

every_page = pytest.mark.parametrize(("snapshot", "path"), PAGES.values(), ids=PAGES)


class _Outline(HTMLParser):
    """Counts what must balance and collects what must be labelled."""

    VOID = frozenset({"meta", "link", "input", "br", "path", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.inputs: set[str] = set()
        self.landmarks: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("h1", "h2"):
            self.headings.append(tag)
        if tag in ("header", "main", "footer"):
            self.landmarks.append(tag)
        if at.get("id"):
            self.ids.append(str(at["id"]))
        if tag == "label" and at.get("for"):
            self.labels.add(str(at["for"]))
        if tag in ("input", "select") and at.get("type") not in ("hidden", "checkbox"):
            self.inputs.add(str(at["id"]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@every_page
async def test_a_page_is_well_formed_and_labelled(
    phone: Phone, station: FakeStation, snapshot: Snapshot, path: str
) -> None:
    await station.show(snapshot)
    page = await phone.open(path)
    outline = _Outline()
    outline.feed(page.html)
    assert outline.open == []
    assert outline.headings.count("h1") == 1
    assert outline.landmarks == ["header", "main", "footer"]
    assert outline.inputs <= outline.labels
    assert len(outline.ids) == len(set(outline.ids))
    assert (page.language, page.direction) == ("en", "ltr")


async def _weight(phone: Phone, url: str, encoding: str, language: str = "en") -> int:
    """Bytes of the answer's body as they come over the wire."""
    headers = {"Accept-Encoding": encoding, "Accept-Language": language}
    async with phone.session.get(phone.base + url, headers=headers) as response:
        await response.read()
        assert response.headers.get("Content-Encoding", "identity") == encoding
        return response.content.total_raw_bytes


@pytest.mark.parametrize("language", list(load(pseudo_locales=True)), ids=lambda language: language.tag)
async def test_every_page_is_small_over_the_wire(
    phone: Phone, station: FakeStation, language: Language
) -> None:
    """As sent, with its stylesheet, script and icon: below 20 kB, and the bare HTML even uncompressed."""
    station.nearby = [replace(NEARBY[1], ssid=b"network %02d" % n, signal=n) for n in range(20)]
    assets = [await _weight(phone, f"/static/{path.name}", "gzip") for path in STATIC.iterdir()]
    heavy: dict[str, tuple[int, int]] = {}
    for name, (snapshot, path) in PAGES.items():
        await station.show(snapshot)
        sent = await _weight(phone, path, "gzip", language.tag) + sum(assets)
        bare = await _weight(phone, path, "identity", language.tag)
        if not (2_000 < sent < 20_000 and 1_000 < bare < 20_000):
            heavy[name] = sent, bare
    assert heavy == {}


@every_page
async def test_no_page_is_kept_by_a_browser(
    phone: Phone, station: FakeStation, snapshot: Snapshot, path: str
) -> None:
    await station.show(snapshot)
    assert (await phone.open(path)).headers["Cache-Control"] == "no-store"


def test_the_stylesheet_and_the_script_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in STATIC.iterdir()}
    assert sizes["portal.css"] < 10_240
    assert sizes["live.js"] < 4096
    assert set(sizes) == {"portal.css", "live.js", "icon.svg"}


# What is data and not language: names, numbers, codes, units, other languages' names.
_DATA = re.compile(
    r"[\u2066-\u2069]|Home-5G|Café Ωmega|Observatory|eduroam|dlink|KXPMVT|K X P M V T"
    r"|cloud\.example\.org/claim|Roof south|Pseudo \(.*?\)"
    rf"|{'|'.join(NAMES.values())}"
    r"|\b(NET|WEB|BUF|DOC)-\d{3}\b|\bwaiting_for_user\b|\boperational\b|192\.168\.1\.40|10\.42\.0\.\d+|NTP|floor|UTC"
    rf"|{'|'.join(sorted(map(re.escape, names('en').values()), key=len, reverse=True))}"
    r"|PEAP|TTLS|MSCHAPv2|PAP|http://\S+"
    r"|\b\d+(\.\d+)? [kMGT]?B\b|[+-]?\d+ ms|°C|0\.1\.0|12:00:\d\d (INFO|WARNING)[a-z ]*"
)


@every_page
async def test_no_text_escapes_translation(
    address: str, station: FakeStation, snapshot: Snapshot, path: str
) -> None:
    """In the pseudo-locale every message stands in brackets; what stands outside must be data."""
    await station.show(snapshot)
    async with Phone(address, language=pseudo.LONG) as phone:
        page = await phone.open(path)
    text = _DATA.sub("", page.text)
    while (shorter := re.sub(r"\[[^\[\]]*\]", "", text)) != text:
        text = shorter
    assert re.findall(r"[A-Za-z]{2,}", text) == []
    labels = re.findall(r'aria-label="([^"]*)"', page.html)
    assert [label for label in labels if not label.startswith("[")] == []


class _Complete(gettext.NullTranslations):
    """A catalogue that notes what it lacks."""

    def __init__(self, language: Language) -> None:
        super().__init__()
        self._language = language.messages
        self.missing: set[str] = set()

    def gettext(self, message: str) -> str:
        said = self._language.gettext(message)
        if said is message:
            self.missing.add(message)
        return said

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        said = self._language.ngettext(msgid1, msgid2, n)
        if said is msgid1 or said is msgid2:  # French has the word "messages" too
            self.missing.add(msgid1)
        return said


@pytest.mark.parametrize("language", [each for each in load() if each.tag != "en"], ids=lambda each: each.tag)
async def test_no_page_falls_back_to_english(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch, language: Language
) -> None:
    complete = _Complete(language)
    only = Languages([Language(language.tag, complete)])
    monkeypatch.setattr("portal.languages.load", lambda **_: only)
    async with serving(create_app(station), "127.0.0.1", 0) as address, Phone(address) as phone:
        for snapshot, path in PAGES.values():
            await station.show(snapshot)
            assert (await phone.open(path)).language == language.tag
    assert sorted(complete.missing) == []


@every_page
async def test_right_to_left_is_said_to_the_browser(
    address: str, station: FakeStation, snapshot: Snapshot, path: str
) -> None:
    await station.show(snapshot)
    async with Phone(address, language=pseudo.RIGHT_TO_LEFT) as phone:
        page = await phone.open(path)
    assert (page.language, page.direction) == (pseudo.RIGHT_TO_LEFT, "rtl")
    assert page.headers["Content-Language"] == pseudo.RIGHT_TO_LEFT


async def test_the_language_can_be_switched_and_is_remembered(address: str) -> None:
    async with Phone(address, cookies=True) as phone:
        page = await phone.open("/setup?network=other")
        form = page.form("/language")
        assert ("language", pseudo.RIGHT_TO_LEFT) in form.buttons
        switched = await phone.send(page, "/language", language=pseudo.RIGHT_TO_LEFT)
        assert (switched.path, switched.language) == ("/setup?network=other", pseudo.RIGHT_TO_LEFT)
        assert (await phone.open("/status")).language == pseudo.RIGHT_TO_LEFT


async def test_a_browser_that_asks_for_no_language_of_ours_gets_the_country_s(
    address: str, station: FakeStation
) -> None:
    await station.show(country="JP")
    async with Phone(address, language="sv", cookies=True) as phone:
        page = await phone.open("/setup")
        assert page.language == "ja"
        switched = await phone.send(page, "/language", language="en")
        assert switched.language == "en", "what the person chose goes first"
    async with Phone(address, language="de") as phone:
        assert (await phone.open("/setup")).language == "de"


async def test_without_a_country_the_system_s_language_is_next(station: FakeStation) -> None:
    app = create_app(station, settings=PortalSettings(locale="fr_FR.UTF-8"))
    async with serving(app, "127.0.0.1", 0) as address, Phone(address, language="sv") as phone:
        assert (await phone.open("/setup")).language == "fr"


@pytest.mark.parametrize(("snapshot", "path"), PAGES.values(), ids=PAGES)
async def test_every_page_offers_every_language_in_its_own_words(
    phone: Phone, station: FakeStation, snapshot: Snapshot, path: str
) -> None:
    await station.show(snapshot)
    page = await phone.open(path)
    assert [tag for _, tag in page.form("/language").buttons] == list(NAMES)
    assert all(
        f'lang="{tag}"' in page.html and f">{name}</button>" in page.html for tag, name in NAMES.items()
    )


async def test_with_one_language_there_is_nothing_to_switch(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.languages.load", lambda **_: Languages([Language("en")]))
    async with (
        serving(create_app(station, settings=PortalSettings()), "127.0.0.1", 0) as address,
        Phone(address) as phone,
    ):
        assert "/language" not in (await phone.open("/setup")).html


async def test_the_list_is_in_order_with_other_network_last(phone: Phone) -> None:
    page = await phone.open("/setup")
    rows = [label for href, label in page.links if href.startswith("/setup?network=")]
    assert rows == [
        "Home-5G saved",
        "Café Ωmega open to everyone",
        "Observatory 5 GHz only",
        "eduroam company login",
        "dlink very old protection",
        "Other network…",
    ]


async def test_the_password_can_be_shown_without_a_script(phone: Phone) -> None:
    page = await phone.open("/setup?network=other")
    assert 'name="password" type="password"' in page.html
    shown = await phone.follow(page, "Show")
    assert 'name="password" type="text"' in shown.html
    assert 'type="password"' in (await phone.follow(shown, "Hide")).html


async def test_a_weak_signal_is_said_before_trying(phone: Phone) -> None:
    page = await phone.open(f"/setup?network={b'dlink'.hex()}")
    assert "The signal is weak where the station stands." in page.text


async def test_the_status_page_answers_five_questions_first(phone: Phone, station: FakeStation) -> None:
    await station.show(TROUBLED)
    text = (await phone.open("/status")).text
    questions = [
        "Is it recording? No The disk is nearly full.",
        "Is it online? No No network",
        "Is anything waiting? 52 messages, 6.5 MB Kept until the station is online",
        "Is the clock right? Not known yet",
        f"What should I do? {LOOK_AT_CARD} BUF-006",
    ]
    places = [text.index(question) for question in questions]
    assert places == sorted(places)
    assert places[-1] < text.index("For technicians")


async def test_anybody_may_blink_the_light_of_a_station_that_is_nobodys(
    phone: Phone, station: FakeStation
) -> None:
    page = await phone.open("/status")
    assert "blinks now" in (await phone.send(page, "/status/locate")).text
    await station.show(RUNNING)
    assert (await phone.send(page, "/status/locate")).path == "/technician"
    assert [name for name, _ in station.asked] == ["locate"]
    assert [form.action for form in (await phone.open("/status")).forms] == ["/language"], "read only"


async def test_what_the_station_cannot_do_now_is_a_page_with_a_code(
    phone: Phone, station: FakeStation
) -> None:
    page = await phone.open("/status")
    station.refuse = refusal("WEB-008")
    assert "WEB-008" in (await phone.send(page, "/status/locate")).text


async def test_a_claim_link_is_offered_only_where_it_can_work(phone: Phone, station: FakeStation) -> None:
    assert CARD.claim_url not in (await phone.open("/claim")).html
    await station.show(WAITING_FOR_CLAIM)
    assert (await phone.open("/claim")).link("Claim it on this device") == CARD.claim_url


async def test_static_files_may_be_kept_under_their_exact_version(phone: Phone) -> None:
    html = (await phone.open("/setup")).html
    url = re.search(r'"(/static/portal\.css\?\w+)"', html)
    assert url is not None
    assert "immutable" in (await phone.open(url[1])).headers["Cache-Control"]
    assert (await phone.open("/static/portal.css?old")).headers["Cache-Control"] == "no-cache"
    assert (await phone.open("/static/..%2fserver.py")).path != "/static/../server.py"


async def test_the_status_page_tells_an_update_and_why_it_was_taken_back(
    address: str, station: FakeStation
) -> None:
    for update, expected in ((Update(), False), (TAKEN_BACK, True)):
        await station.show(replace(RUNNING, update=update))
        async with Phone(address) as phone:
            page = await phone.open("/status")
        assert ("The new version had no network, and the former one had." in page.text) is expected
