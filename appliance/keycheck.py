"""Whether somebody on an open hotspot has read the station's key, with few guesses for all together."""

from __future__ import annotations

import hmac

from portal.guard import Attempts
from portal.sentences import refusal

GUESSES, PAUSE_S = 10, 15.0


class KeyCheck:
    """One limit for everybody: on an open hotspot a stranger may have as many addresses as he likes."""

    def __init__(self) -> None:
        self._attempts = Attempts(GUESSES, PAUSE_S)

    def check(self, typed: str, key: str, now: float) -> None:
        """`now` is in monotonic seconds. Raises `Refusal`: NET-113 for a wrong key, WEB-003 for too many."""
        if (wait := self._attempts.wait("everybody", now)) > 0:
            raise refusal("WEB-003", field="code", seconds=str(int(wait) + 1))
        # Phones like to begin with a capital letter; a key that the station made has none.
        right = [
            hmac.compare_digest(text.encode("utf-8", "surrogatepass"), key.encode())
            for text in (typed, typed.lower())
        ]
        if not any(right):
            raise refusal("NET-113", field="code")
