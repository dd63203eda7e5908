"""The doctor on radio, last try, address and quality: each fault with its evidence and one action."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.doctor import network
from appliance.network.port import NO_LINK
from appliance.network.quality import Measurement
from appliance.network.verdict import VERDICTS
from firmware.sight import Radio
from statemachine.record import NetworkAttempt
from tests.appliance.ward import BOARD, HOME, ask, only, patient, seen

SINCE = 1_786_000_000.0
WRONG_PASSWORD = NetworkAttempt(b"Home".hex(), "NET-001", SINCE)
JOINED = NetworkAttempt(b"Home".hex(), "connected", SINCE)
NO_RADIO = replace(BOARD, radios=())
BLOCKED = replace(BOARD, radios=(Radio("wlan0", blocked=True),))
OFF: dict[str, Any] = {"link": NO_LINK, "known": 2}

CASES: list[tuple[str, Any, dict[str, Any], str, str, str]] = [
    ("no radio", network.radio, {"board": NO_RADIO}, "fail", "NET-008", "No Wi-Fi radio was found."),
    ("radio off", network.radio, {"board": BLOCKED}, "fail", "NET-008", "wlan0 is switched off (`rfkill`)"),
    ("no hotspot", network.radio, {"waiting": True}, "fail", "NET-011", "no setup hotspot is open"),
    ("hotspot", network.radio, {"waiting": True, "hotspot": True}, "ok", "", "The setup hotspot is open."),
    ("cable only", network.radio, {"backend": "host", "board": NO_RADIO}, "ok", "", "operating system"),
    ("simulated", network.radio, {"backend": "simulated", "board": NO_RADIO}, "ok", "", ""),
    (
        "wrong password",
        network.attempt,
        {"attempt": WRONG_PASSWORD, "link": NO_LINK},
        "fail",
        "NET-001",
        "2026",
    ),
    (
        "history",
        network.attempt,
        {"attempt": WRONG_PASSWORD},
        "ok",
        "",
        "The password for Home was not accepted.",
    ),
    (
        "unknown verdict",
        network.attempt,
        {"attempt": replace(WRONG_PASSWORD, result="NET-099"), "link": NO_LINK},
        "fail",
        "NET-010",
        "Tried at",
    ),
    ("joined", network.attempt, {"attempt": JOINED}, "ok", "", "Joined Home at 2026"),
    ("never tried", network.attempt, {}, "ok", "", "No network was tried yet."),
    ("nothing known", network.link, {"link": NO_LINK, "claimed": False}, "warn", "DOC-002", "known: 0"),
    ("all fail", network.link, OFF, "fail", "NET-007", "Networks that are known: 2."),
    ("no DHCP", network.link, {"link": replace(HOME, address=None)}, "fail", "NET-003", "without an address"),
    (
        "own address",
        network.link,
        {"link": replace(HOME, address="169.254.7.9")},
        "fail",
        "NET-003",
        "169.254.7.9",
    ),
    ("wifi", network.link, {}, "ok", "", "By Wi-Fi, signal 71 %, address 192.168.1.40."),
    (
        "cable",
        network.link,
        {"link": replace(HOME, kind="ethernet", signal=None)},
        "ok",
        "",
        "By cable, address",
    ),
    (
        "modem",
        network.link,
        {"link": replace(HOME, kind="cellular", signal=None)},
        "ok",
        "",
        "By mobile network, address",
    ),
    (
        "poor",
        network.quality,
        {"measurement": Measurement(True, 900.0, 0.4, 0.05)},
        "warn",
        "UPL-002",
        "The cloud answers after 900 ms. Requests without an answer: 5 %.",
    ),
    ("good", network.quality, {"measurement": Measurement(True, 90.0)}, "ok", "", "90 ms"),
    ("names fail", network.quality, {"measurement": Measurement(False)}, "unknown", "", ""),
]


@pytest.mark.parametrize(
    ("family", "ill", "verdict", "code", "evidence"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
async def test_each_fault_of_the_network_has_its_evidence_and_one_action(
    tmp_path: Path, family: Any, ill: dict[str, Any], verdict: str, code: str, evidence: str
) -> None:
    found = await only(family, patient(tmp_path, **ill))
    assert (found.verdict, found.code) == (verdict, code)
    assert evidence in seen(found)
    assert bool(found.action) == (verdict != "ok")


async def test_a_verdict_is_told_in_the_words_that_it_has_everywhere(tmp_path: Path) -> None:
    found = await only(network.attempt, patient(tmp_path, attempt=WRONG_PASSWORD, link=NO_LINK))
    assert (found.sentence.text, found.action.text) == (
        VERDICTS["NET-001"].sentence,
        VERDICTS["NET-001"].action,
    )
    assert str(found.sentence) == "The password for Home was not accepted."


async def test_a_radio_that_is_switched_off_is_switched_on_and_not_unplugged(tmp_path: Path) -> None:
    found = await only(network.radio, patient(tmp_path, board=BLOCKED))
    assert "rfkill unblock wifi" in str(found.action)


async def test_without_measurements_nothing_is_said_of_the_quality(tmp_path: Path) -> None:
    assert await ask(network.quality, patient(tmp_path)) == []
