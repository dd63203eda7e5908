"""What the progress page says about a claim: one headline, one sentence, five steps. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cloud.dashboard.words import FAILED, N_, RUNNING, UNKNOWN, WAITING, WORKING
from protocol.errors import CLAIM_DENIED, CLAIM_EXPIRED, TOO_MANY_ATTEMPTS, WRONG_CODE

STEPS = (
    N_("Waiting for your station"),
    N_("Station found"),
    N_("Issuing its certificate"),
    N_("Starting"),
    N_("Running"),
)

_HEADLINES = (
    (
        N_("Waiting for your station"),
        N_(
            "It need not be online yet. As soon as it reaches this cloud, it goes on by itself. "
            "You may close this page."
        ),
    ),
    (N_("Station found"), N_("Your station is here and proves who it is.")),
    (N_("Issuing its certificate"), N_("Your station proves who it is and gets its certificate.")),
    (
        N_("Starting"),
        N_("The station is yours. It fetches its settings and starts; this takes less than three minutes."),
    ),
    (N_("Running"), N_("Your station works. From now on it looks after itself.")),
)

_REFUSED = {
    WRONG_CODE: (
        N_("The PIN was not right"),
        N_("Look at the claim card of the station once more and type the six digits again."),
        "pin",
    ),
    TOO_MANY_ATTEMPTS: (
        N_("Too many wrong PINs"),
        N_("To be safe, the station has made a new PIN. Look at its claim card and type the new one."),
        "pin",
    ),
    CLAIM_EXPIRED: (
        N_("The station did not come"),
        N_(
            "We waited as long as a claim lasts. Check that the station has power and that its light shows "
            "a network, then start again."
        ),
        "start",
    ),
    CLAIM_DENIED: (N_("Cancelled"), N_("Nothing was added. You can start again at any time."), "start"),
    "cancelled": (N_("Cancelled"), N_("Nothing was added. You can start again at any time."), "start"),
    "already_registered": (
        N_("This station belongs to somebody already"),
        N_("Its owner must release it first, or it must be reset to how it was delivered."),
        "start",
    ),
}
_OTHER = (
    N_("The station could not be added"),
    N_("Something went wrong on the way. Start again; if it happens twice, ask whoever runs this cloud."),
    "start",
)

Retry = Literal["", "pin", "start"]


@dataclass(frozen=True)
class Step:
    """One line of the list."""

    label: str
    tone: str


@dataclass(frozen=True)
class ClaimPage:
    """Everything that the page shows. `open` means that something will still happen by itself."""

    id: str
    name: str
    short_id: str | None
    headline: str
    sentence: str
    tone: str
    progress: int
    open: bool
    steps: tuple[Step, ...]
    retry: Retry
    cancellable: bool
    device_id: str | None
    code: str | None


def claim_page(
    claim_id: str,
    status: str,
    *,
    mode: str = "expectation",
    name: str | None = None,
    short_id: str | None = None,
    error: str | None = None,
    error_code: str | None = None,
    device_id: str | None = None,
    operational: bool = False,
) -> ClaimPage:
    """The page for a record's status; `operational` says that the first such heartbeat has come."""
    if status == "expired":
        headline, sentence, retry = _REFUSED.get(error or CLAIM_EXPIRED, _OTHER)
        if retry == "pin" and not short_id:
            retry = "start"
        return ClaimPage(
            claim_id, name or "", short_id, headline, sentence, FAILED, 0, False, (), _retry(retry),
            False, None, error_code,
        )  # fmt: skip
    at = _position(status, operational)
    headline, sentence = _HEADLINES[at]
    return ClaimPage(
        id=claim_id,
        name=name or "",
        short_id=short_id,
        headline=headline,
        sentence=_for_token(sentence, at, mode),
        tone=(WAITING, WORKING, WORKING, WORKING, RUNNING)[at],
        progress=(10, 40, 60, 80, 100)[at],
        open=at < len(STEPS) - 1,
        steps=_steps(at),
        retry="",
        cancellable=status in ("pending", "scanning"),
        device_id=device_id,
        code=None,
    )


def _position(status: str, operational: bool) -> int:
    if status == "success":
        return 4 if operational else 3
    return {"pending": 0, "scanning": 1, "claiming": 2}.get(status, 0)


def _for_token(sentence: str, at: int, mode: str) -> str:
    if at == 0 and mode == "token":
        return N_("Hand the code to your station. As soon as the station uses it, this page goes on.")
    return sentence


def _steps(at: int) -> tuple[Step, ...]:
    last = len(STEPS) - 1

    def tone(index: int) -> str:
        if index < at or index == at == last:
            return RUNNING
        if index > at:
            return UNKNOWN
        return WAITING if index == 0 else WORKING

    return tuple(Step(label, tone(index)) for index, label in enumerate(STEPS))


def _retry(word: str) -> Retry:
    return "pin" if word == "pin" else "start"
