"""The five answers, for each kind of trouble and for none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from language.languages import Language
from portal.answers import Answer, answers
from portal.fakes import IN_SETUP, NOON, RUNNING
from portal.measures import ago, duration, size
from portal.view import Backlog, Breaker, Clock, NetworkInfo, Notice, Recording, Sentence, Waiting

ENGLISH = Language("en")


@pytest.mark.parametrize(
    ("question", "changes", "tone", "text", "more"),
    [
        ("recording", {}, "running", "Yes", "Last event 8 min ago"),
        ("recording", {"recording": Recording()}, "unknown", "Not known yet", ""),
        ("recording", {"recording": Recording(active=False)}, "failed", "No", ""),
        ("recording", {"recording": Recording(True, detail=Sentence("2 of 3"))}, "running", "Yes", "2 of 3"),
        ("online", {}, "running", "Yes", "Through Home-5G"),
        (
            "online",
            {"network": NetworkInfo("", True, True, "ethernet")},
            "running",
            "Yes",
            "By network cable",
        ),
        ("online", {"network": NetworkInfo("H", True, False, "wifi")}, "working", "No internet", "Through H"),
        (
            "online",
            {"network": NetworkInfo("", True, True, "cellular")},
            "running",
            "Yes",
            "By mobile network",
        ),
        ("online", {"network": NetworkInfo()}, "failed", "No", "No network"),
        (
            "online",
            {"network": NetworkInfo(), "hotspot": True},
            "waiting",
            "No",
            "The setup hotspot is open",
        ),
        ("waiting", {}, "working", "52 messages, 6.5 MB", "Being sent now"),
        ("waiting", {"backlog": Backlog()}, "running", "No", "Everything is sent"),
        ("waiting", {"backlog": Backlog(dead=1)}, "failed", "No", "1 message was refused for good"),
        (
            "waiting",
            {"backlog": Backlog((Waiting("high", 1, 900),), dead=2)},
            "working",
            "1 message, 900 B",
            "2 messages were refused for good",
        ),
        (
            "waiting",
            {"claimed": False},
            "waiting",
            "52 messages, 6.5 MB",
            "Kept until the station is claimed",
        ),
        (
            "waiting",
            {"network": NetworkInfo()},
            "working",
            "52 messages, 6.5 MB",
            "Kept until the station is online",
        ),
        (
            "waiting",
            {"breaker": Breaker("open", retry_in=300.0)},
            "working",
            "52 messages, 6.5 MB",
            "The cloud does not answer; next try in 5 min",
        ),
        ("clock", {}, "running", "Yes", "Within 3 ms, from NTP"),
        ("clock", {"clock": Clock(NOON, True, "GPS")}, "running", "Yes", "GPS"),
        ("clock", {"clock": Clock(NOON)}, "working", "Not sure", "No time source heard yet"),
        ("clock", {"clock": Clock(NOON, source="server")}, "working", "Not sure", "The cloud's time is used"),
        ("clock", {"clock": Clock()}, "unknown", "Not known yet", ""),
        ("todo", {}, "running", "Nothing", "All is well"),
        ("todo", {"state": "network_ready"}, "waiting", "Claim the station", "The station is running."),
        ("todo", {"state": "error"}, "failed", "Restart the station", "The station is running."),
        (
            "todo",
            {"state": "updating", "step": Sentence("It applies new settings.")},
            "running",
            "Nothing",
            "It applies new settings.",
        ),
        (
            "todo",
            {"warnings": (Notice("X-1", Sentence("Hot."), Sentence("Shade it.")),)},
            "working",
            "Shade it.",
            "X-1",
        ),
    ],
)
def test_each_question_has_an_answer(
    question: str, changes: dict[str, Any], tone: str, text: str, more: str
) -> None:
    answer = answers(replace(RUNNING, **changes), ENGLISH)[question]
    plain = replace(answer, more=answer.more.translate({0x2068: None, 0x2069: None}))
    assert plain == Answer(tone, text, more)


def test_the_questions_stand_in_the_order_in_which_they_are_asked() -> None:
    assert list(answers(IN_SETUP, ENGLISH)) == ["recording", "online", "waiting", "clock", "todo"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (21_400_000_000, "21 GB"),
        (5 * 10**15, "5,000 TB"),
        (None, "not known"),
    ],
)
def test_sizes_read_easily(count: int | None, text: str) -> None:
    assert size(count, ENGLISH) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (5399.0, "90 min"),
        (5400.0, "2 h"),
        (172_800.0, "2 days"),
        (None, "not known"),
    ],
)
def test_durations_have_one_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds, ENGLISH) == text


def test_an_age_is_not_invented() -> None:
    assert ago(None, NOON, ENGLISH) == ago(NOON, None, ENGLISH) == ""


def test_numbers_with_units_keep_their_direction_among_arabic_letters() -> None:
    assert size(6_400_000, Language("ar")) == "\u20666.4 MB\u2069"
