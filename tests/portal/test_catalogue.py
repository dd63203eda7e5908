"""Every message a page can say is one that a translator is given."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages.extract import extract_from_dir, extract_from_file

from portal import render, sentences
from portal.context import CONTEXT
from portal.fakes import FakeStation
from portal.languages import Language, Languages
from portal.server import create_app, serving
from tests.portal import test_pages
from tests.portal.phone import Phone

PORTAL = Path(render.__file__).parent
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "N_": None,
    "Sentence": (1,),
}


def extracted() -> set[str]:
    methods = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
    options = {"**.html": {"newstyle_gettext": "true", "trimmed": "false"}}
    found = extract_from_dir(PORTAL, methods, options, keywords=KEYWORDS)
    messages = [message for _, _, message, _, _ in found]
    # The sentences that these tests put into a station's mouth.
    own = extract_from_file("python", test_pages.__file__, keywords=KEYWORDS)
    return set(_single([*messages, *(message for _, message, _, _ in own)]))


def _single(messages: Iterable[str | tuple[str, ...]]) -> Iterable[str]:
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


def test_templates_hold_no_message_that_breaks_when_filled_in() -> None:
    for message in extracted():
        marks = dict.fromkeys(re.findall(r"%\((\w+)\)s", message), "x")
        assert message % marks


@pytest.mark.parametrize("code", sorted(sentences.FORM | sentences.WEB))
def test_every_code_has_a_sentence_and_one_action(code: str) -> None:
    refused = sentences.refusal(code, ssid="x", count="1", characters="’", seconds="9")
    assert str(refused.sentence).endswith(".")
    assert str(refused.action).endswith(".")


def test_a_template_with_a_missing_value_fails_instead_of_showing_a_hole() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.environment().from_string("{{ nobody }}").render()
