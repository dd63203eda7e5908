"""Which HTTP status a refusal has; nothing else."""

from __future__ import annotations

from portal.view import Refusal

_STATUS = {"WEB-001": 403, "WEB-009": 403, "WEB-010": 429, "WEB-011": 403}


def status_of(refused: Refusal | None) -> int:
    """200 without a refusal, 422 for what the person can correct, 403 for a form that cannot be trusted."""
    return 200 if refused is None else _STATUS.get(refused.code, 422)
