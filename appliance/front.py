"""The station as the portal asks for it: wishes are checked against the state and handed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from appliance.conductor import Conductor
from appliance.device import Device
from appliance.doctor.running import Doctor
from appliance.network.port import Credentials, Security
from appliance.status import StatusBoard
from appliance.support.running import Support
from buffer.drain import Progress
from buffer.drains import Drains
from buffer.listing import Depth
from buffer.store import Store
from portal import view
from portal.sentences import N_
from portal.view import JoinRequest, Refusal, Sentence, Snapshot
from protocol.codes import CodeRefused, parse_claim_token
from statemachine.lifecycle import State

log = logging.getLogger(__name__)

TAKEN_S = 5.0
"""How long a phone waits for its choice to be tried; normally two steps of the state machine on disk."""

_JOINABLE = {State.SETUP, State.CONFIGURING}
_CLAIMABLE = {State.SETUP, State.CONFIGURING, State.CONNECTING, State.NETWORK_READY}


BUSY = N_("The station is not waiting for a network now.")
BUSY_ACTION = N_("Look at the progress page; it says what the station is doing.")
NOT_NOW = N_("The station cannot take a claim code now.")
CLAIMED = N_("This station belongs to somebody already.")
CLAIMED_ACTION = N_("Reset it with the button or with `meteor-appliance reset` to claim it anew.")
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
        doctor: Doctor,
        support: Support,
    ) -> None:
        self._device = device
        self._conductor = conductor
        self._board = board
        self._drain = drain
        self._store = store
        self._figures = figures
        # What is found and packed is not this file's affair.
        self.diagnose = doctor.diagnose
        self.support_bundle = support.bundle

    def snapshot(self) -> Snapshot:
        """The picture now."""
        return self._board.snapshot()

    def metrics(self) -> str:
        """The figures in the OpenMetrics text format."""
        return self._figures()

    def changes(self) -> AsyncIterator[Snapshot]:
        """Every new picture."""
        return self._board.changes()

    async def networks(self, rescan: bool = False) -> Sequence[view.Network]:
        """Networks in the air."""
        found = await self._device.network.scan(rescan)
        return [
            view.Network(network.ssid, network.signal, network.security.value, network.band, network.known)
            for network in found
        ]

    async def join(self, request: JoinRequest) -> None:
        """Hands the choice to the stage that waits for it, and returns when it is being tried.

        Otherwise the phone's next page could still tell how the last try ended.
        """
        if self._conductor.state not in _JOINABLE:
            raise Refusal("NET-120", Sentence(BUSY), Sentence(BUSY_ACTION))
        log.info("a person chose a network")
        self._device.inbox.join(
            Credentials(request.ssid, request.passphrase, Security(request.security), request.hidden)
        )
        self._device.inbox.client_joined()
        try:
            async with asyncio.timeout(TAKEN_S):
                await self._device.inbox.wait_taken()
        except TimeoutError:
            log.warning("the choice of a network is not taken up after %.0f s", TAKEN_S)

    async def use_claim_code(self, token: str) -> None:
        """Keeps the code durably; it is used as soon as the station is online."""
        if self._device.claimed:
            raise Refusal("REG-003", Sentence(CLAIMED), Sentence(CLAIMED_ACTION))
        if self._conductor.state not in _CLAIMABLE:
            raise Refusal("CTL-004", Sentence(NOT_NOW), Sentence(BUSY_ACTION))
        try:
            parsed = parse_claim_token(token)
        except CodeRefused:
            refused = Refusal("REG-004", Sentence(BAD_TOKEN), Sentence(BAD_TOKEN_ACTION), field="claim_code")
            raise refused from None
        await self._device.journal.change(lambda record: replace(record, claim_token=parsed, last_error=None))
        self._device.inbox.claim_changed()

    async def cancel(self) -> None:
        """Back to the choice of networks."""
        self._device.inbox.cancel()

    async def client_seen(self, client: str, step: str) -> None:
        """A phone that has opened a page means that a person is there."""
        log.debug("client %s: %s", client, step)
        if step != "probe" and self._conductor.state is State.SETUP:
            self._device.inbox.client_joined()

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
