"""Errors that were written down in English are said in the reader's language, whatever stands in them."""

from __future__ import annotations

import socket
import ssl

import pytest

from appliance.network.port import JoinFailed
from appliance.network.verdict import VERDICTS
from appliance.recognised import CODES, explained, reason
from appliance.uplink.client import Refused, unreachable
from portal.languages import load
from protocol.errors import Problem
from scripts.messages import template

MESSAGES = {message.id for message in template()}

FAILURES: dict[str, Exception] = {
    "timeout": TimeoutError(),
    "tls": ssl.SSLError("certificate verify failed"),
    "dns": socket.gaierror(-2, "Name or service not known"),
    "refused": ConnectionRefusedError(111, "refused"),
    "connect": OSError(113, "No route to host"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_why_there_was_no_answer_can_be_translated(failure: Exception) -> None:
    text = str(unreachable(failure))
    assert reason(text).text in MESSAGES
    assert str(reason(text)) == text, "in English it is said as it was written"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("503 Not now", "The cloud answered with an error (503)."),
        ("HTTP 502", "The cloud answered with an error (502)."),
        ("refused: 401 REG-004 bad_signature", "The cloud answered with an error (401 REG-004)."),
        (
            "the cloud does not accept this station: 403 REG-004 x",
            "The cloud answered with an error (403 REG-004).",
        ),
        ("the station is not claimed", "The station is not claimed yet."),
        (
            "Something answers in the cloud's place (HTTP 302 redirect).",
            "Something answers in the cloud's place (HTTP 302 redirect).",
        ),
    ],
)
def test_other_reasons_can_be_translated(text: str, said: str) -> None:
    assert str(reason(text)) == said
    assert reason(text).text in MESSAGES


@pytest.mark.parametrize("text", ["something new", "100 % wrong: %(ssid)s", "", "503rd try"])
def test_what_is_not_recognised_is_shown_as_it_was_written(text: str) -> None:
    assert str(reason(text)) == text


@pytest.mark.parametrize("code", VERDICTS)
@pytest.mark.parametrize("ssid", ["Home-5G", "a: b. c", "100 %(ssid)s", "Привет", "line\nbreak"])
def test_a_failed_join_is_recognised_with_its_network(code: str, ssid: str) -> None:
    failure = JoinFailed(code, ssid.encode())
    sentence, action = explained(code, str(failure))
    assert sentence.text == VERDICTS[code].sentence
    assert str(sentence) == failure.sentence
    assert str(action) == failure.action


@pytest.mark.parametrize("code", CODES)
def test_an_error_with_a_code_has_a_sentence_and_an_action_in_every_language(code: str) -> None:
    refused = Refused(Problem(title="Refused", status=403, code=code, detail="because %s"), None)
    sentence, action = explained(code, str(refused))
    for language in load():
        assert language.tag == "en" or language.say(sentence) != str(sentence)
        assert language.say(sentence, action)


def test_an_error_of_an_unknown_code_keeps_its_words() -> None:
    sentence, action = explained("XYZ-001", "The moon is in the way.")
    assert (str(sentence), str(action)) == ("The moon is in the way.", "")
