"""Which country the station is in: as the settings or a person say, else as its neighbours let it guess.

Only the first two reach the radio: a guess decides nothing that is transmitted. What is known lies in one
small file, which a reset removes with the networks: a station that is carried abroad asks again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Literal

import msgspec

from appliance.files import private_folder, to_the_end, write_atomically
from appliance.network.country import CountryNotSet, RegulatoryDomain, guess_country
from portal.countries import CODES
from portal.sentences import N_
from portal.view import Notice, Sentence

log = logging.getLogger(__name__)

NOT_SET = N_("The radio does not follow the rules of the country %(country)s: %(reason)s.")
NOT_SET_ACTION = N_("Some 5 GHz networks may stay out of reach. Use a 2.4 GHz network, or ask a technician.")


class Kept(msgspec.Struct, frozen=True):
    """The file. `said` is a person's word, `guess` the neighbours', `five_ghz` that the network needs it, and
    `card` what the file on the boot partition said last."""

    said: str = ""
    guess: str = ""
    five_ghz: bool = False
    card: str = ""


class Country:
    """Keeps the country and has the radio follow it. Use it from one event loop."""

    def __init__(self, folder: Path, setting: str, domain: RegulatoryDomain) -> None:
        """`setting` is `network.country`, which nobody overrules. Blocks for reading one small file."""
        self._path = private_folder(folder) / "country.json"
        self._setting = setting
        self._domain = domain
        self._changing = asyncio.Lock()
        self._listened = False
        self._trouble: tuple[str, str] | None = None
        self._kept = self._read()

    def _read(self) -> Kept:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except msgspec.DecodeError as error:
            log.warning("%s: cannot be read (%s). The country is asked for again.", self._path, error)
            return Kept()
        return msgspec.structs.replace(kept, said=_known(kept.said), guess=_known(kept.guess))

    @property
    def fixed(self) -> bool:
        """Whether the settings say it, so that no page can."""
        return bool(self._setting)

    @property
    def confirmed(self) -> str:
        """What the radio shall follow; empty for the rules that hold everywhere."""
        return self._setting or self._kept.said

    @property
    def guess(self) -> str:
        """What most of the neighbours say, or said when they were last heard; empty when they do not."""
        return self._kept.guess

    @property
    def code(self) -> str:
        """The country as far as it is known."""
        return self.confirmed or self.guess

    @property
    def said_by(self) -> Literal["settings", "person", "guess", ""]:
        """Who says `code`."""
        if self._setting:
            return "settings"
        if self._kept.said:
            return "person"
        return "guess" if self._kept.guess else ""

    async def apply(self) -> None:
        """Has the radio follow what is confirmed; what hinders it is logged once, and never fatal."""
        code = self.confirmed
        if not code:
            return
        try:
            await self._domain.set_country(code)
        except CountryNotSet as failure:
            if self._trouble != (code, failure.reason):
                log.warning("the radio does not follow the rules of %s: %s", code, failure.reason)
            self._trouble = code, failure.reason
        else:
            log.info("the radio follows the rules of %s", code)
            self._trouble = None

    async def confirm(self, code: str) -> None:
        """A person says it: durable, then the radio's. Raises `OSError`."""
        await self._change(said=code)
        await self.apply()

    async def told(self, code: str) -> None:
        """The file on the boot partition says it: it counts once, so that a person can still change it."""
        if code != self._kept.card:
            await self._remember(said=_known(code), card=code)

    async def chosen(self, *, five_ghz: bool) -> None:
        """A person chose a network that is, or is not, in the 5 GHz band alone."""
        await self._remember(five_ghz=five_ghz)

    async def listen(self, *, again: bool = False) -> None:
        """Guesses from what the last scan heard; once in a life, and `again` after a new scan."""
        if self._listened and not again:
            return
        guess = guess_country(code for code in await self._domain.neighbours() if code in CODES)
        if guess is None:
            return
        self._listened = True
        if guess != self.guess:
            log.info("the networks nearby say that this is %s", guess)
        await self._remember(guess=guess)

    async def _remember(self, **changes: str | bool) -> None:
        """What is worth a file, but no failure."""
        try:
            await self._change(**changes)
        except OSError as error:
            log.warning("%s: cannot be written (%s)", self._path, error.strerror)
            self._kept = msgspec.structs.replace(self._kept, **changes)  # until the next start

    async def _change(self, **changes: str | bool) -> None:
        async with self._changing:
            changed = msgspec.structs.replace(self._kept, **changes)
            if changed != self._kept:
                await to_the_end(write_atomically, self._path, msgspec.json.encode(changed))
                self._kept = changed

    def notices(self) -> list[Notice]:
        """That the radio does not follow, where it matters: the chosen network is in the 5 GHz band."""
        if self._trouble is None or not self._kept.five_ghz:
            return []
        code, reason = self._trouble
        sentence = Sentence(NOT_SET, {"country": code, "reason": Sentence(reason)})
        return [Notice("NET-019", sentence, Sentence(NOT_SET_ACTION))]


def _known(code: str) -> str:
    return code if code in CODES else ""
