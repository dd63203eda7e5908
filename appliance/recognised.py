"""Errors that were written down in English, recognised, so that a page can say them in the reader's language.

Journal, breaker and heartbeat keep errors as text: a later version of the program must be able to read it.
What is not recognised is shown as it was written.
"""

from __future__ import annotations

import re
from functools import cache

from appliance.network.verdict import VERDICTS
from appliance.sentences import LAST_ERROR_ACTION
from appliance.uplink import tls
from portal.sentences import N_
from portal.view import NOTHING, Sentence

CLOUD_AWAY = N_("The cloud cannot be reached.")

REASONS = (
    N_("The cloud did not answer in time."),
    N_("The cloud's name could not be found."),
    N_("Nobody answers at the address of the cloud."),
    N_("The secure connection failed: %(detail)s"),
    N_("The cloud cannot be reached: %(detail)s"),
    N_("Something answers in the cloud's place (%(detail)s)."),
)
"""What `appliance.uplink.client` says when there is no answer."""

WRONG_CLOUD = N_("Somebody answers in the cloud's place: it is not the cloud that the claim code is from.")
WRONG_CLOUD_ACTION = N_(
    "Use another network, check the cloud's address in the settings, or enter a new claim code."
)
WRONG_CLOCK = N_("The cloud cannot be trusted, because the station's clock is wrong or unsure.")
WRONG_CLOCK_ACTION = N_(
    "Use a network that lets time servers through, or enter the whole claim code of the account:"
    " with it the station learns the time from the cloud."
)
_UNCLAIMED = N_("The station is not claimed yet.")
_STATUS = N_("The cloud answered with an error (%(code)s).")
_ANSWER = re.compile(
    r"(?:refused: |the cloud does not accept this station: |HTTP )?"
    r"(?P<code>[45][0-9]{2}(?: [A-Z]{2,4}-[0-9]{3})?)\b.*",
    re.DOTALL,
)

CODES: dict[str, tuple[str, str]] = {
    "REG-001": (
        N_("The cloud could not use the station's certificate request."),
        N_("Check the station's version, then reset the station."),
    ),
    "REG-002": (
        N_("The claim is over: it ran out, was cancelled, or had too many wrong codes."),
        N_("Start again with the claim card; after wrong codes it shows a new PIN."),
    ),
    "REG-003": (
        N_("The station, or the claim code, belongs to somebody already."),
        N_("Use another claim code, or reset the station to claim it anew."),
    ),
    "REG-004": (
        N_("The cloud did not accept the code or the proof of this station."),
        N_("Check the code and try again. If that does not help, check the station's clock."),
    ),
    "REG-006": (N_("The cloud was asked too often."), LAST_ERROR_ACTION),
    "REG-009": (N_("The cloud cannot store anything right now."), LAST_ERROR_ACTION),
    "OWN-001": (
        N_("The owner released this station. It can be claimed anew."),
        N_("Claim it with its card, which has a new PIN."),
    ),
    "CERT-005": (WRONG_CLOUD, WRONG_CLOUD_ACTION),
    "BUF-003": (N_("The disk is full."), N_("Make room on the disk of the station.")),
    "BUF-005": (
        N_("The card or the disk of the station cannot be read or written."),
        N_("Check the card; replace it if this stays."),
    ),
    "BUF-006": (
        N_("The buffer on the station's card is damaged."),
        N_("Restart the station; it keeps what can be recovered."),
    ),
    "HW-006": (
        N_("The device key is damaged, so the station cannot prove who it is."),
        N_("Restore the key from a backup, or reset the station."),
    ),
    "HW-008": (
        N_("The chip that holds the device key (TPM) cannot be used."),
        N_("The station's log says why. Mend that, then restart the station."),
    ),
}
"""By code: what happened and what to do, for errors whose details stand in the log."""


def reason(text: str) -> Sentence:
    """Why something failed, from what was written down."""
    for known in REASONS:
        if (fields := _fields(known, text)) is not None:
            return Sentence(known, fields)
    if text == "the station is not claimed":
        return Sentence(_UNCLAIMED)
    answer = _ANSWER.fullmatch(text)
    return Sentence(_STATUS, {"code": answer["code"]}) if answer else _as_written(text)


def explained(code: str, text: str) -> tuple[Sentence, Sentence]:
    """What happened and what to do, from an error's code and what was written down with it."""
    if code in VERDICTS:
        verdict = VERDICTS[code]
        fields = _fields(f"{code}: {verdict.sentence} {verdict.action}", text)
        if fields is not None:
            return Sentence(verdict.sentence, fields), Sentence(verdict.action)
    if code in CODES:
        sentence, action = CODES[code]
        return Sentence(sentence), Sentence(action)
    if tls.OWN_TIME in text:
        return Sentence(WRONG_CLOCK), Sentence(WRONG_CLOCK_ACTION)
    return reason(text), NOTHING


def _as_written(text: str) -> Sentence:
    return Sentence("%(text)s", {"text": text})


def _fields(template: str, text: str) -> dict[str, str] | None:
    """What stands in `text` at the marks of `template`; None if it is another sentence."""
    found = _pattern(template).fullmatch(text)
    return None if found is None else found.groupdict()


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", template)
    plain = [re.escape(part) if index % 2 == 0 else f"(?P<{part}>.+)" for index, part in enumerate(parts)]
    return re.compile("".join(plain), re.DOTALL)
