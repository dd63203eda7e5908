"""Who gets which language from the cloud, where the choice is kept, and a claim told in it to the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloud import speaking
from cloud.dashboard import told
from cloud.dashboard.rendering import HERE
from cloud.mail.letters import invited, password_link
from cloud.mail.outbox import OUTBOX, Letter
from language import languages, pseudo
from language.languages import NAMES
from tests.cloud.cloud_server import Cloud
from tests.cloud.people_client import Browsing

TAGS = [tag for tag in NAMES if tag not in (pseudo.LONG, pseudo.RIGHT_TO_LEFT)]
every_language = pytest.mark.parametrize("tag", TAGS)


def stranger(cloud: Cloud, **headers: str) -> Browsing:
    return Browsing(cloud.session, cloud.base, {"Origin": cloud.base, **headers})


def spoken(page: str) -> tuple[str, str]:
    found = re.search(r'<html lang="([^"]+)" dir="(ltr|rtl)">', page)
    assert found, page[:200]
    return found[1], found[2]


@pytest.mark.parametrize(
    ("accept", "tag"),
    [
        ("", "en"),
        ("nl", "en"),
        ("ja", "ja"),
        ("ar-EG,ar;q=0.9,en;q=0.8", "ar"),
        ("zh-TW,zh;q=0.9", "zh-Hant"),
        ("zh-CN", "zh-Hans"),
        ("nl,pt-PT;q=0.7,en;q=0.3", "pt"),
    ],
)
async def test_a_stranger_gets_what_the_browser_asks_for(cloud: Cloud, accept: str, tag: str) -> None:
    page = await stranger(cloud, **{"Accept-Language": accept}).get("/claim")
    assert spoken(page.html) == (tag, "rtl" if tag == "ar" else "ltr")
    assert page.headers["Content-Language"] == tag
    assert "Accept-Language" in page.headers["Vary"]


async def test_a_choice_before_signing_in_is_kept_by_a_cookie_and_goes_back_to_the_page(cloud: Cloud) -> None:
    page = await stranger(cloud).post("/language", follow=False, language="ja", back="/claim?x=1")
    assert (page.status, page.address) == (303, "/claim?x=1")
    assert "language=ja" in page.headers["Set-Cookie"]
    again = await stranger(cloud, Cookie="language=ja", **{"Accept-Language": "de"}).get("/claim")
    assert spoken(again.html) == ("ja", "ltr")


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_a_choice_leads_to_no_other_site(cloud: Cloud, back: str) -> None:
    page = await stranger(cloud).post("/language", follow=False, language="ja", back=back)
    assert page.address == "/"


async def test_an_unknown_language_changes_nothing(cloud: Cloud) -> None:
    page = await stranger(cloud).post("/language", follow=False, language="tlh", back="/claim")
    assert (page.status, page.headers.get("Set-Cookie")) == (303, None)
    assert spoken((await stranger(cloud, Cookie="language=tlh").get("/claim")).html)[0] == "en"


async def test_the_account_remembers_the_choice_for_every_browser(cloud: Cloud) -> None:
    person = await cloud.person()
    pages = Browsing(cloud.session, cloud.base, person.headers)
    await pages.post("/language", language="ko", back="/")
    elsewhere = Browsing(cloud.session, cloud.base, {**person.headers, "Accept-Language": "fr"})
    assert spoken((await elsewhere.get("/account")).html)[0] == "ko"


async def test_a_choice_of_somebody_signed_in_needs_the_token(cloud: Cloud) -> None:
    person = await cloud.person()
    pages = Browsing(cloud.session, cloud.base, person.headers)
    assert (await pages.post("/language", csrf="", language="ko", back="/")).status == 403
    assert spoken((await pages.get("/account")).html)[0] == "en"


@every_language
async def test_the_whole_claim_is_told_in_one_language(cloud: Cloud, tag: str) -> None:
    """From the landing to the station: no sentence of a catalogue in English."""
    person, asked = await cloud.person(), {"Accept-Language": tag}
    pages = Browsing(cloud.session, cloud.base, {**person.headers, **asked})
    outside = stranger(cloud, **asked)
    station = await cloud.claimed(person)
    await station.beaten("operational")
    found = [await outside.get(path) for path in ("/claim", "/sign-in", "/forgot", "/reset")]
    found += [await pages.get(path) for path in ("/", "/claim", "/stations/add", "/account", "/nothing")]
    found += [await pages.get(f"/stations/{station.device_id}{end}") for end in ("", "/place")]
    found += [
        await pages.post("/stations/add", short_id="AEIOUY", pin="123456"),
        await pages.post("/stations/add", short_id="BCDFGH", pin="1"),
        await pages.post("/stations/add", short_id="BCDFGH", pin="123456"),
        await pages.post("/stations/code"),
        await outside.post("/sign-in", email="x@example.org", password="wrong"),
    ]
    assert {spoken(page.html) for page in found} == {(tag, "rtl" if tag == "ar" else "ltr")}
    if tag == "en":
        return
    language = cloud.app[speaking.LANGUAGES].get(tag)
    assert language is not None
    english = {text for text in SENTENCES if language.messages.gettext(text) != text}
    for page in found:
        left = [
            text for text in english if f">{text}<" in page.html or (len(text) > 25 and text in page.text)
        ]
        assert not left, page.address


def _sentences() -> set[str]:
    found = set(told.REFUSALS)
    for path in (HERE / "templates").glob("*.html"):
        found |= set(re.findall(r'_\("([^"%]+)"\)', path.read_text("utf-8")))
    return found


SENTENCES = _sentences()


@pytest.mark.parametrize("path", sorted((HERE / "templates").glob("*.html")), ids=lambda path: path.stem)
def test_no_template_has_words_outside_of_the_catalogue(path: Path) -> None:
    """What is left of a template without tags, values and blocks are signs, codes and commands."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    named = re.findall(r'(?:aria-label|placeholder|alt|title)="([^"]*)"', text)
    assert [words for words in named if re.search("[a-z]{3,}", words)] == []
    text = re.sub(r"<(code|pre|script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    text = re.sub(r'[a-z-]+="[^"]*"|autofocus', " ", text)  # of macros and blocks inside of a tag
    assert re.findall("[A-Za-z]{3,}", text) == []


@every_language
def test_mails_speak_the_language_of_who_gets_them(tag: str) -> None:
    language = speaking.load().get(tag)
    assert language is not None
    letter = invited(language, "bob@example.org", "Ada", "Roof", "viewer", "https://c.example.org")
    link = password_link(language, "bob@example.org", "https://c.example.org/reset?token=x")
    assert "Ada" in letter.text and "Roof" in letter.subject and "%(" not in letter.text + letter.subject
    assert "https://c.example.org/reset?token=x\n" in link.text
    assert ("password" in link.text) == (tag == "en")


async def test_a_lost_password_is_answered_in_the_language_of_the_account(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[Letter] = []
    monkeypatch.setattr(cloud.app[OUTBOX], "post", posted.append)
    person = await cloud.person("ada@example.org")
    await Browsing(cloud.session, cloud.base, person.headers).post("/language", language="ar", back="/")
    await stranger(cloud, **{"Accept-Language": "de"}).post("/forgot", email="ada@example.org")
    assert [letter.subject for letter in posted] == ["كلمة مرور جديدة لمحطات الشهب الخاصة بك"]


async def test_the_interface_keeps_its_details_and_says_what_to_do_in_the_language(
    cloud: Cloud,
) -> None:
    person = await cloud.person()
    wish = {"short_id": "AEIOUY", "pin": "123456"}
    async with cloud.session.post(
        f"{cloud.base}/v1/devices/register/initiate",
        json=wish,
        headers={**person.headers, "Accept-Language": "de"},
    ) as answer:
        told_ = await answer.json()
    assert told_["detail"].startswith("The short id has six letters")
    assert told_["user_action"].startswith("Berichtigen Sie das genannte Feld")


def test_made_up_languages_find_catalogues_of_any_domain(tmp_path: Path) -> None:
    assert [one.tag for one in languages.load(tmp_path, "cloud", pseudo_locales=True)] == [
        "en",
        pseudo.LONG,
        pseudo.RIGHT_TO_LEFT,
    ]
