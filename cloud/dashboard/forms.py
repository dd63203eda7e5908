"""What a form says when it is shown again: one sentence, the field it belongs to, what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cloud.dashboard.words import N_
from protocol.errors import CODES, Refusal


@dataclass(frozen=True)
class FormError:
    """One sentence, where it belongs, and its code for a search."""

    text: str
    field: str = ""
    advice: str = ""
    code: str = ""


def from_refusal(refusal: Refusal, field: str = "") -> FormError:
    """A refusal as a person reads it; `field` is where it belongs when the refusal names none."""
    field = (refusal.field or field).removeprefix("$.")
    advice = ""
    if refusal.retry_after:
        advice = wait_advice(refusal.retry_after)
    elif refusal.code in CODES and not field:
        advice = CODES[refusal.code].user_action
    return FormError(refusal.detail, field, advice, refusal.code or "")


def wait_advice(seconds: int) -> str:
    """When to try again, rounded up, because a promise kept late is none."""
    if seconds <= 60:
        return N_("Try again in a minute.")
    if seconds <= 300:
        return N_("Try again in five minutes.")
    return N_("Try again in an hour.")
