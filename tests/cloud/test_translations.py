"""The cloud's catalogues: complete, whole, and nothing put in by translating."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from cloud.dashboard import told
from cloud.security.passwords import LONGEST, SHORTEST, weakness
from language import catalogue
from protocol.errors import CODES
from scripts.messages import CLOUD, catalogues, load, save, template
from tests.portal.test_translations import ENGLISH, KEPT, LATIN, MARK, NUMBERS, PLURALS

FILES = catalogues(CLOUD)
every_language = pytest.mark.parametrize("tag", FILES)

WORDS = (
    "TPM|Cookie|JSON Lines|NUL|CSV|BCD FGH|Y|Software|Hardware|Offline|E-Mail|Server|API|Cloud"
    "|keyid|name|location|device_id"
)
MARKUP = re.compile(r"</?\w+[^>]*>|&\w+;")

ALIKE = {
    "fr": {"Stations", "Latitude", "Longitude", "Altitude", "%(number)s\u00a0To", "Administration"}
    | {
        "%(num)s station",
        "%(num)s stations",
    },
    "es": {"Software", "Hardware", "Cable"},
    "pt": {"Latitude", "Longitude", "Altitude", "Software", "Hardware", "Offline"},
    "de": {"Software", "Hardware", "Offline"},
}
"""Words that a language shares with English."""


def strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def pairs(tag: str) -> Iterator[tuple[Message, str, str]]:
    for message in load(FILES[tag]):
        if message.id:
            english = message.id if isinstance(message.id, str) else message.id[-1]
            for text in strings(message):
                yield message, english, text


def test_the_cloud_speaks_the_languages_of_the_station() -> None:
    assert set(FILES) == set(PLURALS)


@every_language
def test_every_message_is_translated_and_none_is_left_over(tag: str) -> None:
    translated = load(FILES[tag])
    assert {m.id for m in translated if m.id} == {m.id for m in template(CLOUD) if m.id}
    assert not translated.obsolete
    assert [m.id for m in translated if m.id and (m.fuzzy or not all(strings(m)))] == []


@every_language
def test_placeholders_and_markup_stay(tag: str) -> None:
    """Only a form for one certain number may say it without the number: Arabic has a word for two things."""
    wrong = []
    for message in load(FILES[tag]):
        english = message.id if isinstance(message.id, str) else message.id[-1] if message.id else ""
        for form, text in enumerate(strings(message)):
            said = tag == "ar" and not isinstance(message.id, str) and form < 3
            marks = sorted(mark for mark in MARK.findall(english) if not (said and mark == "%(num)s"))
            told = sorted(mark for mark in MARK.findall(text) if not (said and mark == "%(num)s"))
            if message.id and (told != marks or MARKUP.findall(text) != MARKUP.findall(english)):
                wrong.append(text)
    assert wrong == []


@every_language
def test_plurals_have_the_forms_and_the_rule_of_the_language(tag: str) -> None:
    rule, forms = catalogue.read(FILES[tag]), max(PLURALS[tag]) + 1
    assert all(len(strings(m)) == forms for m in load(FILES[tag]) if isinstance(m.id, tuple))
    shown = catalogue.Catalogue({"one": [str(form) for form in range(forms)]}, rule._plural)
    assert tuple(int(shown.ngettext("one", "many", number)) for number in NUMBERS) == PLURALS[tag]


@every_language
def test_no_english_is_left(tag: str) -> None:
    wrong = []
    for _, english, text in pairs(tag):
        kept = rf"{MARK.pattern}|(?<![A-Za-z])({WORDS})(?![A-Za-z])|{KEPT}"
        rest = re.sub(kept, " ", text)
        words = ENGLISH.findall(rest) if tag in LATIN else re.findall(r"[A-Za-z]{2,}", rest)
        same = text == english and re.search(r"[a-z]{3}", re.sub(kept, "", text))
        if (words or same) and text not in ALIKE.get(tag, set()):
            wrong.append(text)
    assert wrong == []


@every_language
def test_sentences_end_as_the_english_ones_do(tag: str) -> None:
    ends = {".": (".", "。"), "?": ("?", "？", "؟"), "…": ("…",), ":": (":", "：")}
    wrong = [
        text
        for _, english, text in pairs(tag)
        for end, alike in ends.items()
        if english.endswith(end) and not text.rstrip().endswith(alike)
    ]
    assert wrong == []
    assert all(text == text.strip() and "  " not in text for _, _, text in pairs(tag))


@every_language
def test_a_catalogue_is_committed_as_make_messages_writes_it(tag: str, tmp_path: Path) -> None:
    updated = load(FILES[tag])
    updated.update(template(CLOUD), update_creation_date=False)
    again = tmp_path / tag / "LC_MESSAGES" / "cloud.po"
    again.parent.mkdir(parents=True)
    save(updated, again)
    assert again.read_text("utf-8") == FILES[tag].read_text("utf-8")


@every_language
def test_both_programs_say_the_same_thing_alike(tag: str) -> None:
    station = {m.id: m.string for m in load(catalogues()[tag]) if m.id}
    cloud = {m.id: m.string for m in load(FILES[tag]) if m.id}
    assert {
        key: (station[key], cloud[key]) for key in station.keys() & cloud.keys() if station[key] != cloud[key]
    } == {}


# --- what other parts of the cloud say ----------------------------------------------------------------------


def test_pages_know_what_to_do_about_every_code_of_the_registration() -> None:
    assert {code: entry.user_action for code, entry in CODES.items()} == told.CODES


@pytest.mark.parametrize("password", ["a" * (SHORTEST - 1), "ab" * LONGEST, "password123", "ada@example.org"])
def test_pages_know_why_a_password_is_refused(password: str) -> None:
    assert weakness(password, "ada@example.org") in told.REFUSALS
