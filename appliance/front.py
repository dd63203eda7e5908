"""The station as the portal asks for it: wishes are checked against the state and handed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from appliance.conductor import Conductor
from appliance.device import Device
from appliance.doctor.running import Doctor
from appliance.files import to_the_end
from appliance.keycheck import KeyCheck
from appliance.network.hotspot.phones import Phones
from appliance.network.wishes import credentials_of
from appliance.paths import Paths
from appliance.status import StatusBoard
from appliance.support.running import Support
from appliance.technician import Technician
from buffer.drain import Progress
from buffer.drains import Drains
from buffer.errors import StoreError
from buffer.listing import Depth
from buffer.store import Store
from portal import view
from portal.sentences import N_
from portal.view import JoinRequest, Refusal, Sentence, Snapshot
from protocol.codes import CodeRefused, parse_claim_code
from statemachine.lifecycle import State

log = logging.getLogger(__name__)

TAKEN_S = 5.0
"""How long a phone waits for its choice to be tried; normally two steps of the state machine on disk."""

_JOINABLE = {State.SETUP, State.CONFIGURING}
_CLAIMABLE = {State.SETUP, State.CONFIGURING, State.CONNECTING, State.NETWORK_READY, State.CLAIMING}


BUSY = N_("The station is not waiting for a network now.")
BUSY_ACTION = N_("Look at the progress page; it says what the station is doing.")
NOT_NOW = N_("The station cannot take a claim code now.")
CLAIMED = N_("This station belongs to somebody already.")
CLAIMED_ACTION = N_("Reset it with the button or with `meteor-appliance reset` to claim it anew.")
COUNTRY_FIXED = N_("The country is fixed in the station's settings.")
COUNTRY_FIXED_ACTION = N_("Change `network.country` there and restart the station.")
BAD_TOKEN = N_("This is not a claim code.")
BAD_TOKEN_ACTION = N_("It starts with mct_ and has 47 characters. Copy it whole from your account.")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits at this moment, and what keeps it."""

    depth: Depth
    progress: Progress
    claimed: bool
    sent: dict[int, int]
    """What got a yes and is not yet confirmed: payload sizes by message id."""


class Front:
    """Implements `portal.view.Station`."""

    def __init__(
        self,
        device: Device,
        conductor: Conductor,
        board: StatusBoard,
        drain: Drains,
        store: Store,
        figures: Callable[[], str],
        technician: Technician,
        phones: Phones,
        doctor: Doctor,
        support: Support,
    ) -> None:
        self._device = device
        self._conductor = conductor
        self._board = board
        self._drain = drain
        self._store = store
        self._figures = figures
        self._phones = phones
        self._key_check = KeyCheck()
        self._turns = 0
        self._technician = technician
        # What stands behind the technician's PIN is not this file's affair.
        self.check_pin = technician.check_pin
        self.new_pin = technician.new_pin
        self.test_connection = technician.test_connection
        self.restart = technician.restart
        self.reset = technician.reset
        self.forget_networks = technician.forget_networks
        self.picture = technician.picture
        # Nor is what is found and packed.
        self.diagnose = doctor.diagnose
        self.support_bundle = support.bundle

    @property
    def pin(self) -> str:
        """The technician's PIN, for who may open the control socket."""
        return self._technician.pin

    def snapshot(self) -> Snapshot:
        """The picture now."""
        return self._board.snapshot()

    async def well(self) -> dict[str, Any]:
        """What a new version must show before it is kept; one small write shows that events can be stored."""
        try:
            await self._store.try_again()
        except StoreError:
            stored = False
        else:
            stored = True
        self._turns += 1
        device, gathered = self._device, self._board.gathered
        return {
            "ticks": self._turns,
            "buffer": stored,
            "migrated": True,
            "network": device.network.link().online,
            "cloud": device.claimed and device.heartbeat.heard,
            "clock": device.time.system.quality().synchronized,
            "free": gathered.host.disk.free if gathered is not None else None,
        }

    def metrics(self) -> str:
        """The figures in the OpenMetrics text format."""
        return self._figures()

    def changes(self) -> AsyncIterator[Snapshot]:
        """Every new picture."""
        return self._board.changes()

    async def networks(self, rescan: bool = False) -> Sequence[view.Network]:
        """Networks in the air."""
        found = await self._device.network.scan(rescan)
        await self._device.country.listen(again=rescan)
        return [
            view.Network(
                network.ssid, network.signal, network.security.value, band, network.known, network.beyond
            )
            for network in found
            for band in network.bands or ("",)
        ]

    async def join(self, request: JoinRequest) -> None:
        """Hands the choice to the stage that waits for it, and returns when it is being tried.

        Otherwise the phone's next page could still tell how the last try ended.
        """
        if self._conductor.state not in _JOINABLE:
            raise Refusal("NET-120", Sentence(BUSY), Sentence(BUSY_ACTION))
        self._check_code(request.code)
        log.info("a person chose a network")
        await self._device.country.chosen(five_ghz=request.five_ghz)
        authorities = Paths(self._device.settings.data_dir).authorities
        self._device.inbox.join(await to_the_end(credentials_of, request, authorities))
        self._device.inbox.client_joined()
        try:
            async with asyncio.timeout(TAKEN_S):
                await self._device.inbox.wait_taken()
        except TimeoutError:
            log.warning("the choice of a network is not taken up after %.0f s", TAKEN_S)

    async def use_claim_code(self, token: str, code: str = "") -> None:
        """Keeps the code durably; it is used as soon as the station is online."""
        if self._device.claimed:
            raise Refusal("REG-003", Sentence(CLAIMED), Sentence(CLAIMED_ACTION))
        if self._conductor.state not in _CLAIMABLE:
            raise Refusal("CTL-004", Sentence(NOT_NOW), Sentence(BUSY_ACTION))
        self._check_code(code)
        try:
            parsed = parse_claim_code(token)
        except CodeRefused:
            refused = Refusal("REG-004", Sentence(BAD_TOKEN), Sentence(BAD_TOKEN_ACTION), field="claim_code")
            raise refused from None
        await self._device.journal.change(
            lambda record: replace(record, claim_token=parsed.token, ca_pin=parsed.ca_pin, last_error=None)
        )
        self._device.inbox.claim_changed()

    async def use_country(self, code: str) -> None:
        """Keeps what a person said of the country, and has the radio follow it."""
        if self._device.country.fixed:
            raise Refusal("NET-123", Sentence(COUNTRY_FIXED), Sentence(COUNTRY_FIXED_ACTION))
        await self._device.country.confirm(code)
        self._board.announce()

    def _check_code(self, typed: str) -> None:
        """On an open hotspot only who can read the station's key may set it up. Raises `Refusal`."""
        if (key := self._device.code_for_hotspot()) is not None:
            self._key_check.check(typed, key, self._device.time.system.monotonic())

    async def cancel(self) -> None:
        """Back to the choice of networks."""
        self._device.inbox.cancel()

    async def client_seen(self, client: str, step: str) -> None:
        """A phone that has opened a page means that a person is there."""
        if self._device.network.hotspot() is not None:
            self._phones.tell(client, step)
        else:
            self._phones.saw(client, step)
        if step != "probe" and self._conductor.state is State.SETUP:
            self._device.inbox.client_joined()

    def phones(self) -> Sequence[view.PhoneTrail]:
        """How far each phone came since the hotspot opened last."""
        return self._phones.trails()

    async def locate(self) -> None:
        """Blinks."""
        self._device.panel.locate()
        self._board.announce()

    async def retry(self) -> None:
        """Sends what waits now, and looks for the network if it is away."""
        self._drain.kick()
        self._device.heartbeat.kick()
        self._device.inbox.claim_changed()

    async def retry_dead(self, names: Sequence[str] = ()) -> tuple[int, list[str]]:
        """Gives messages that were set aside another chance: all, or those with these UUIDs or keys.

        How many, and the names of which none was set aside. Raises `StoreError`.
        """
        chosen = await self._store.dead_ids(names) if names else None
        ids = None if chosen is None else [message for found in chosen.values() for message in found]
        revived = await self._store.retry_dead(ids)
        self._drain.kick()
        return revived, [name for name, found in (chosen or {}).items() if not found]

    async def backlog(self) -> Backlog:
        """Looks into the buffer now. Raises `StoreError`."""
        depth = await self._store.depth()
        return Backlog(depth, self._drain.progress(), self._device.claimed, self._store.sent)
