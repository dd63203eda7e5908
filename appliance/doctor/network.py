"""Radio, hotspot, the last try to join, and whether there is a network with an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime

from appliance import sentences
from appliance.doctor.patient import Patient
from appliance.doctor.visit import Visit
from appliance.doctor.words import follows, judged, moment, span, well, wrong
from appliance.network.quality import Quality, judge
from appliance.network.verdict import ALL_FAILED, NO_ADDRESS, NO_HOTSPOT, NO_RADIO, REFUSED, VERDICTS
from portal.sentences import N_
from portal.ssid import display
from portal.view import Finding, Sentence
from statemachine.record import CONNECTED

RADIO = N_("Wi-Fi")
NOT_OURS = N_("The operating system looks after the network here.")
NONE_FOUND = N_("No Wi-Fi radio was found.")
RADIO_FOUND = N_("Radio: %(name)s.")
HOTSPOT_OPEN = N_("The setup hotspot is open.")
NO_HOTSPOT_OPEN = N_("The station waits for you, and no setup hotspot is open.")
BLOCKED = N_("The radio %(name)s is switched off (`rfkill`).")
UNBLOCK = N_("Switch it on with `rfkill unblock wifi`.")

ATTEMPT = N_("Last try to join")
TRIED_AT = N_("Tried at %(time)s.")
JOINED_AT = N_("Joined %(ssid)s at %(time)s.")
NEVER_TRIED = N_("No network was tried yet.")

NETWORK = N_("Network")
NO_NETWORK = N_("The station has no network yet.")
CHOOSE = N_("Choose its network on the setup page, or plug in a cable.")
KNOWN = N_("Networks that are known: %(count)s. No cable is connected.")
WITHOUT_ADDRESS = N_("Connected, but without an address.")
GAVE_ITSELF = N_("%(address)s is an address that the station gave itself.")
BY_MODEM = N_("By mobile network, address %(address)s.")
BY_CABLE = N_("By cable, address %(address)s.")
BY_WIFI = N_("By Wi-Fi, signal %(signal)s %%, address %(address)s.")

QUALITY = N_("Quality of the connection")
LATENCY = N_("The cloud answers after %(time)s.")
LOSS = N_("Requests without an answer: %(share)s %%.")


async def radio(visit: Visit) -> Sequence[Finding]:
    """Is there a radio that may speak, and a hotspot where one is due?"""
    patient = visit.patient
    if patient.backend == "host":
        return [well(RADIO, Sentence(NOT_OURS))]
    if patient.backend == "networkmanager":
        if not patient.board.radios:
            return [judged(NO_RADIO, RADIO, Sentence(NONE_FOUND))]
        silent = [each for each in patient.board.radios if each.blocked]
        if len(silent) == len(patient.board.radios):
            seen = Sentence(BLOCKED, {"name": silent[0].interface})
            return [wrong("fail", NO_RADIO, RADIO, VERDICTS[NO_RADIO].sentence, UNBLOCK, seen)]
    if patient.running and patient.waiting and not patient.hotspot:
        return [judged(NO_HOTSPOT, RADIO, Sentence(NO_HOTSPOT_OPEN))]
    return [well(RADIO, *_heard(patient))]


def _heard(patient: Patient) -> list[Sentence]:
    seen = [Sentence(RADIO_FOUND, {"name": each.interface}) for each in patient.board.radios]
    if patient.hotspot:
        seen.append(Sentence(HOTSPOT_OPEN))
    return seen


async def attempt(visit: Visit) -> Sequence[Finding]:
    """How the last try ended; history where the station is online by now."""
    patient, tried = visit.patient, visit.patient.attempt
    if tried is None or tried.result is None:
        return [well(ATTEMPT, Sentence(NEVER_TRIED))]
    when, ssid = moment(datetime.fromtimestamp(tried.at, UTC)), display(tried.ssid)
    if tried.result == CONNECTED:
        return [well(ATTEMPT, Sentence(JOINED_AT, {"ssid": ssid, "time": when}))]
    at = Sentence(TRIED_AT, {"time": when})
    code = tried.result if tried.result in VERDICTS else REFUSED  # a newer program may know more
    if patient.link.online:
        return [well(ATTEMPT, Sentence(VERDICTS[code].sentence, {"ssid": ssid}), at)]
    return [judged(code, ATTEMPT, at, ssid=ssid)]


async def link(visit: Visit) -> Sequence[Finding]:
    """Is there a network, and an address in it?"""
    patient, seen = visit.patient, visit.patient.link
    if seen.kind == "none":
        return [_unlinked(patient)]
    ssid = display(seen.ssid) if seen.ssid else ""
    if not seen.address:
        return [_without_address(Sentence(WITHOUT_ADDRESS), ssid)]
    address = seen.address.partition("%")[0]
    if ipaddress.ip_address(address).is_link_local:
        return [_without_address(Sentence(GAVE_ITSELF, {"address": address}), ssid)]
    if seen.kind == "wifi" and seen.signal is not None:
        return [well(NETWORK, Sentence(BY_WIFI, {"signal": str(seen.signal), "address": address}))]
    way = BY_MODEM if seen.kind == "cellular" else BY_CABLE
    return [well(NETWORK, Sentence(way, {"address": address}))]


def _unlinked(patient: Patient) -> Finding:
    known = Sentence(KNOWN, {"count": str(patient.known or 0)})
    if patient.known or patient.claimed:
        return judged(ALL_FAILED, NETWORK, known)
    return wrong("warn", "DOC-002", NETWORK, NO_NETWORK, CHOOSE, known)


def _without_address(seen: Sentence, ssid: str) -> Finding:
    return judged(NO_ADDRESS, NETWORK, seen, ssid=ssid or "LAN")


async def quality(visit: Visit) -> Sequence[Finding]:
    """How good the connection is, as what the station sends has measured it; nothing when it sent nothing."""
    measured = visit.patient.measurement
    if measured is None:
        return []
    seen = [Sentence(LOSS, {"share": f"{measured.loss * 100:.0f}"})]
    if measured.latency_ms is not None:
        seen.insert(0, Sentence(LATENCY, {"time": span(measured.latency_ms / 1000)}))
    if not measured.dns:
        return [follows(QUALITY, *seen)]
    if judge(measured) in (Quality.POOR, Quality.NONE):
        code, text, action = sentences.LEVELS[2]
        return [wrong("warn", code, QUALITY, text, action, *seen)]
    return [well(QUALITY, *seen)]
