"""Every message a page can say is one that a translator is given."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Iterator

import jinja2
import pytest
from babel.messages.extract import extract_from_file

from appliance import checkup, front, recognised
from appliance import sentences as station_sentences
from appliance.network.verdict import VERDICTS
from firmware.pattern import PATTERNS
from language.languages import Language, Languages
from portal import fakes, render, sentences
from portal.context import CONTEXT
from portal.fakes import FakeStation
from portal.server import create_app, serving
from scripts.messages import template
from statemachine.lifecycle import State
from tests.portal import test_pages
from tests.portal.phone import Phone


def extracted() -> set[str]:
    """Every message that a translator is given, one and many apart."""
    return set(_single(message.id for message in template() if message.id))


def _single(messages: Iterable[str | tuple[str, ...] | list[str]]) -> Iterable[str]:
    for message in messages:
        yield from (message,) if isinstance(message, str) else message


class Listening(gettext.NullTranslations):
    """Notes every message that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: set[str] = set()

    def gettext(self, message: str) -> str:
        self.heard.add(message)
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        self.heard |= {msgid1, msgid2}
        return msgid1 if n == 1 else msgid2


async def test_what_pages_say_is_what_extraction_finds(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = Listening()
    languages = Languages([Language("en", listening)])
    monkeypatch.setattr("portal.languages.load", lambda **_: languages)
    app = create_app(station)
    assert app[CONTEXT].languages is languages
    async with serving(app, "127.0.0.1", 0) as address, Phone(address) as phone:
        for snapshot, path in test_pages.PAGES.values():
            await station.show(snapshot)
            await phone.open(path)
    assert len(listening.heard) > 150
    assert sorted(listening.heard - extracted()) == []


def _constants(module: object) -> Iterator[str]:
    """The sentences that a module holds as constants, also those inside tables."""
    for name, value in vars(module).items():
        if name.isupper() and not name.startswith("_"):
            yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(tuple(value.values()))
    elif isinstance(value, tuple):
        for part in value:
            yield from _texts(part)


def test_what_the_station_says_is_what_extraction_finds() -> None:
    said = {text for verdict in VERDICTS.values() for text in (verdict.sentence, verdict.action)}
    said |= {pattern.spoken for pattern in PATTERNS}
    said |= {str(station_sentences.step(s, claimed=claimed).text) for s in State for claimed in (True, False)}
    for module in (front, station_sentences, recognised, checkup):
        said |= {text for text in _constants(module) if " " in text}
    assert len(said) > 100
    assert sorted(said - extracted()) == []


@pytest.mark.parametrize("file", [fakes.__file__, test_pages.__file__])
def test_the_played_station_says_only_what_the_real_one_can_say(file: str) -> None:
    own = extract_from_file("python", file, keywords={"Sentence": (1,)})
    said = {message for _, message, _, _ in own if isinstance(message, str)}
    assert said
    assert said <= extracted()


def test_templates_hold_no_message_that_breaks_when_filled_in() -> None:
    for message in extracted():
        marks = dict.fromkeys(re.findall(r"%\((\w+)\)s", message), "x")
        assert message % marks


@pytest.mark.parametrize("code", sorted(sentences.FORM | sentences.WEB))
def test_every_code_has_a_sentence_and_one_action(code: str) -> None:
    refused = sentences.refusal(
        code, ssid="x", count="1", characters="’", seconds="9", minutes="2", network="10.0.0.0/8"
    )
    assert str(refused.sentence).endswith(".")
    assert str(refused.action).endswith(".")


def test_a_template_with_a_missing_value_fails_instead_of_showing_a_hole() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.environment().from_string("{{ nobody }}").render()
