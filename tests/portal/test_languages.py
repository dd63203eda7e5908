"""Which language a person gets, and what is said in it."""

from __future__ import annotations

import gettext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from language import languages, pseudo
from language.languages import Language, Languages, accepted
from portal.languages import load
from portal.measures import ago, clock_time, duration, size
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


@pytest.mark.parametrize(
    ("accept", "country", "system", "tag"),
    [
        ("", "CN", "", "zh-Hans"),
        ("", "TW", "", "zh-Hant"),
        ("", "HK", "", "zh-Hant"),
        ("", "MO", "", "zh-Hant"),
        ("", "jp", "", "ja"),
        ("sv", "KR", "", "ko"),
        ("*", "JP", "de_DE.UTF-8", "ja"),
        ("fr", "JP", "", "fr"),
        ("", "DE", "", "en"),
        ("", "", "de_AT.UTF-8", "de"),
        ("", "", "pt_BR@euro", "pt"),
        ("", "", "zh_TW.UTF-8", "zh-Hant"),
        ("", "", "C.UTF-8", "en"),
        ("", "XX", "tlh", "en"),
    ],
)
def test_after_the_browser_the_country_decides_and_then_the_system(
    accept: str, country: str, system: str, tag: str
) -> None:
    assert ALL.choose(accept, country, system).tag == tag


def test_english_is_there_without_any_catalogue(tmp_path: Path) -> None:
    assert [language.tag for language in languages.load(tmp_path, "portal")] == ["en"]
    assert languages.load(tmp_path, "portal").default.tell("Connect") == "Connect"


def test_ten_languages_are_there() -> None:
    assert [language.tag for language in load()] == [language.tag for language in ALL]


def test_the_pseudo_locales_are_there_only_when_asked_for() -> None:
    tags = [language.tag for language in load(pseudo_locales=True)]
    assert tags[-2:] == [pseudo.LONG, pseudo.RIGHT_TO_LEFT]
    assert all(language.tag not in tags[-2:] for language in load())
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


def test_numbers_inside_a_sentence_are_written_as_the_language_has_it() -> None:
    german = load().get("de")
    assert german is not None
    found = german.say(Sentence("%(number)s GB", {"number": "2.0"}))
    assert "2,0" in found
    assert "1.234" in german.say(Sentence("%(number)s GB", {"number": "1234"}))
    assert "2.0" in german.say(Sentence("%(version)s", {"version": "2.0"})), "a version is no number"
    assert "many" in german.say(Sentence("%(number)s GB", {"number": "many"}))


def test_a_missing_message_is_said_in_english() -> None:
    assert Language("de", gettext.NullTranslations()).tell("Connect") == "Connect"


def test_a_sentence_inside_a_sentence_is_translated_too() -> None:
    german = load().get("de")
    assert german is not None
    reason = Sentence("The cloud did not answer in time.")
    said = german.say(Sentence("The cloud cannot be reached: %(detail)s", {"detail": reason}))
    assert said == "Die Cloud ist nicht erreichbar: \u2068Die Cloud hat nicht rechtzeitig geantwortet.\u2069"


@pytest.mark.parametrize(
    ("tag", "between"),
    [("en", ". C"), ("de", ". P"), ("ja", "。確"), ("zh-Hans", "。请"), ("zh-Hant", "。請")],
)
def test_sentences_follow_each_other_as_the_language_has_it(tag: str, between: str) -> None:
    language = load().get(tag)
    assert language is not None
    what = Sentence("The password for %(ssid)s was not accepted.", {"ssid": "x"})
    said = language.say(what, Sentence(""), Sentence("Check it and try again; capital letters matter."))
    assert between in said


@pytest.mark.parametrize(
    ("tag", "small", "large"),
    [
        ("en", "1,234", "1,234,567.9"),
        ("zh-Hans", "1,234", "1,234,567.9"),
        ("ja", "1,234", "1,234,567.9"),
        ("ko", "1,234", "1,234,567.9"),
        ("de", "1.234", "1.234.567,9"),
        ("fr", "1\u202f234", "1\u202f234\u202f567,9"),
        ("es", "1234", "1.234.567,9"),
        ("pt", "1.234", "1.234.567,9"),
        ("ar", "1,234", "1,234,567.9"),
    ],
)
def test_numbers_are_written_as_the_language_has_it(tag: str, small: str, large: str) -> None:
    assert Language(tag).number(1234) == small
    assert Language(tag).number(1234567.89, 1) == large
    assert Language(tag).number(-3, signed=True) == "-3"
    assert Language(tag).number(3, signed=True) == "+3"


NOON = datetime(2026, 3, 4, 12, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tag", "bytes_", "wait", "days", "before", "moment"),
    [
        ("en", "6.5 MB", "2 min", "3 days", "3 days ago", "2026-03-04 12:05:06 UTC"),
        ("de", "6,5\u00a0MB", "2\u00a0min", "3 Tage", "vor 3 Tagen", "04.03.2026, 12:05:06 UTC"),
        ("fr", "6,5\u00a0Mo", "2\u00a0min", "3 jours", "il y a 3 jours", "04/03/2026 12:05:06 UTC"),
        ("es", "6,5\u00a0MB", "2\u00a0min", "3 días", "hace 3 días", "04/03/2026, 12:05:06 UTC"),
        ("pt", "6,5\u00a0MB", "2\u00a0min", "3 dias", "há 3 dias", "04/03/2026 12:05:06 UTC"),
        ("zh-Hans", "6.5\u00a0MB", "2\u00a0分钟", "3 天", "3 天前", "2026/03/04 12:05:06 UTC"),
        ("zh-Hant", "6.5\u00a0MB", "2\u00a0分鐘", "3 天", "3 天前", "2026/03/04 12:05:06 UTC"),
        ("ja", "6.5\u00a0MB", "2\u00a0分", "3 日", "3 日前", "2026/03/04 12:05:06 UTC"),
        ("ko", "6.5\u00a0MB", "2분", "3일", "3일 전", "2026. 03. 04. 12:05:06 UTC"),
        ("ar", "6.5\u00a0MB", "2\u00a0د", "3 أيام", "قبل 3 أيام", "2026/03/04 12:05:06 UTC"),
    ],
)
def test_sizes_lengths_of_time_and_dates_are_written_as_the_language_has_it(
    tag: str, bytes_: str, wait: str, days: str, before: str, moment: str
) -> None:
    language = load().get(tag)
    assert language is not None
    strip = str.maketrans("", "", "\u2066\u2069")
    three_days = 3 * 86400.0
    assert size(6_500_000, language).translate(strip) == bytes_
    assert (duration(125, language), duration(three_days, language)) == (wait, days)
    assert ago(NOON - timedelta(seconds=three_days), NOON, language) == before
    assert clock_time(NOON, language).translate(strip) == moment


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "لا رسائل"),
        (1, "رسالة واحدة"),
        (2, "رسالتان"),
        (3, "3 رسائل"),
        (10, "10 رسائل"),
        (11, "11 رسالة"),
        (99, "99 رسالة"),
        (100, "100 رسالة"),
        (103, "103 رسائل"),
    ],
)
def test_arabic_counts_in_six_ways(number: int, said: str) -> None:
    arabic = load().get("ar")
    assert arabic is not None
    assert arabic.count(("%(count)s message", "%(count)s messages"), number) == said
