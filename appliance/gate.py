"""Who may do what a technician may: checks the PIN and slows down whoever guesses; knows no pages.

Six digits are few, so tries are what is limited, for each client and for all of them together:

- a client has 5 wrong tries, then waits 1, 2, 4, 8 and from then on 15 minutes before each further one;
- all clients together have 20, then wait 15 minutes before each of the next 20, then an hour before each.

While somebody waits nothing is compared, not even the right PIN. The count of all is on disk before a PIN
is compared, so neither a kill nor a restart gives tries away: a station that starts with a full count starts
with the pause. Who goes on for a year finds the PIN with a chance of one in a hundred. A right PIN, and a new
one (`meteor-appliance pin --new`), end the count.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from appliance.files import to_the_end
from appliance.identity.technician import Kept, TechnicianFile
from portal.sentences import refusal

log = logging.getLogger(__name__)

FREE_EACH, PAUSES_EACH_S = 5, (60.0, 120.0, 240.0, 480.0, 900.0)
FREE_ALL, FIRST_PAUSES, PAUSES_ALL_S = 20, 20, (900.0, 3600.0)
MAX_CLIENTS = 256


def pause_of_one(wrong: int) -> float:
    """Seconds that one client waits after so many wrong tries of its own."""
    return PAUSES_EACH_S[min(wrong - FREE_EACH, 4)] if wrong >= FREE_EACH else 0.0


def pause_of_all(wrong: int) -> float:
    """Seconds that everybody waits after so many wrong tries of anybody."""
    return PAUSES_ALL_S[wrong >= FREE_ALL + FIRST_PAUSES] if wrong >= FREE_ALL else 0.0


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    until: float = 0.0


class Gate:
    """One for the life of the program. `now` gives monotonic seconds."""

    def __init__(self, file: TechnicianFile, now: Callable[[], float]) -> None:
        """Blocks for small file work. Raises `OSError`."""
        self._file = file
        self._now = now
        self._kept = file.current()
        self._until = now() + pause_of_all(self._kept.wrong)
        self._clients: OrderedDict[str, _Tries] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    @property
    def pin(self) -> str:
        """For whoever stands at the station. Goes into no log and no page."""
        return self._kept.pin

    async def enter(self, pin: str, client: str) -> None:
        """Returns for the right PIN. Raises `Refusal` (WEB-009 for a wrong one, WEB-010 while waiting)."""
        async with self._one_at_a_time:
            tries = self._tries_of(client)
            self._refuse_while_waiting(tries)
            await self._keep(msgspec.structs.replace(self._kept, wrong=self._kept.wrong + 1))
            if hmac.compare_digest(pin.encode(), self._kept.pin.encode()):
                self._clients.pop(client, None)
                await self._keep(msgspec.structs.replace(self._kept, wrong=0))
                log.info("a technician came in from %s", client)
                return
            self._slow_down(tries, client)
            raise refusal("WEB-009", field="pin")

    async def renew(self) -> str:
        """Another PIN; whoever waited need not wait any more. Raises `OSError`."""
        async with self._one_at_a_time:
            self._kept = await to_the_end(self._file.renew)
            self._until = 0.0
            self._clients.clear()
            log.info("there is a new technician's PIN")
            return self._kept.pin

    def _tries_of(self, client: str) -> _Tries:
        tries = self._clients.setdefault(client, _Tries())
        self._clients.move_to_end(client)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return tries

    def _refuse_while_waiting(self, tries: _Tries) -> None:
        wait = max(tries.until, self._until) - self._now()
        if wait > 0:
            raise refusal("WEB-010", field="pin", minutes=str(math.ceil(wait / 60)))

    def _slow_down(self, tries: _Tries, client: str) -> None:
        tries.wrong += 1
        tries.until = self._now() + pause_of_one(tries.wrong)
        self._until = self._now() + pause_of_all(self._kept.wrong)
        log.warning("a wrong technician's PIN from %s; in a row: %d", client, self._kept.wrong)

    async def _keep(self, kept: Kept) -> None:
        self._kept = kept
        try:
            await to_the_end(self._file.keep, kept)
        except OSError as error:
            # A technician must get in when the disk is full; then the count lasts as long as the program.
            log.warning("the count of wrong PINs is not on disk: %s", error)
