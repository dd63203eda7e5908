"""Which language a person gets, and what is said in it."""

from __future__ import annotations

import gettext

import pytest

from portal import pseudo
from portal.languages import Language, Languages, accepted, load
from portal.view import Sentence

ALL = Languages(
    Language(tag) for tag in ("en", "zh-Hans", "zh-Hant", "ja", "ko", "de", "fr", "es", "pt", "ar")
)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pt-BR", "pt"),
        ("fr;q=0.2, es;q=0.9", "es"),
        ("sv, nl;q=0.8, ja;q=0.1", "ja"),
        ("zh-TW", "zh-Hant"),
        ("zh-HK,zh;q=0.9", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh-CN", "zh-Hans"),
        ("zh-Hans-SG", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("AR-eg", "ar"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("*", "en"),
        ("tlh", "en"),
        ("de;q=oops, ko", "ko"),
        (";;;,,,===", "en"),
        ("x" * 5000, "en"),
    ],
)
def test_the_browser_s_wish_decides(header: str, tag: str) -> None:
    assert ALL.choose(header).tag == tag


def test_wishes_of_equal_weight_keep_their_order() -> None:
    assert accepted("fr, de, en;q=0.5") == ["fr", "de", "en"]


def test_english_is_there_without_any_catalogue() -> None:
    assert [language.tag for language in load()] == ["en"]
    assert load().default.tell("Connect") == "Connect"


def test_the_pseudo_locales_are_there_only_when_asked_for() -> None:
    tags = [language.tag for language in load(pseudo_locales=True)]
    assert tags == ["en", pseudo.LONG, pseudo.RIGHT_TO_LEFT]
    assert ALL.get("ar") is not None
    assert [Language(tag).direction for tag in ("en", "ar", pseudo.RIGHT_TO_LEFT)] == ["ltr", "rtl", "rtl"]


@pytest.mark.parametrize(
    "message", ["Choose a network", "%(count)s messages", "The password for %(ssid)s was not accepted."]
)
def test_the_long_pseudo_locale_is_two_fifths_longer_and_keeps_its_marks(message: str) -> None:
    longer = pseudo.Longer().gettext(message)
    assert 1.3 <= len(longer) / len(message) <= 1.6
    assert [part for part in ("%(count)s", "%(ssid)s") if part in longer] == [
        part for part in ("%(count)s", "%(ssid)s") if part in message
    ]


def test_a_hostile_value_cannot_become_part_of_the_sentence() -> None:
    hostile = "%(secret)s \u202e <b>"
    said = Language("en").say(Sentence("Joined %(ssid)s now", {"ssid": hostile}))
    assert said == f"Joined \u2068{hostile}\u2069 now"


def test_a_missing_message_is_said_in_english() -> None:
    assert Language("de", gettext.NullTranslations()).tell("Connect") == "Connect"
