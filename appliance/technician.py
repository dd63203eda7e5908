"""What the station does for a technician who knows its PIN. Pages are the portal's, tries the gate's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from appliance import checkup
from appliance.device import Device
from appliance.gate import Gate
from appliance.reset import StartOver
from appliance.status import StatusBoard
from buffer.errors import MediaMissing, StorageFailed
from buffer.media import MediaStore
from firmware.reset import Extent
from portal.sentences import refusal
from portal.view import Check, Picture

log = logging.getLogger(__name__)


class Technician:
    """One for the life of the program."""

    def __init__(
        self, device: Device, board: StatusBoard, gate: Gate, start_over: StartOver, media: MediaStore
    ) -> None:
        self._device = device
        self._board = board
        self._gate = gate
        self._start_over = start_over
        self._media = media
        self._testing = asyncio.Lock()
        self.restart_wished = asyncio.Event()
        """Set when the program shall end and start again."""

    @property
    def pin(self) -> str:
        """For the display and the command line of the same user."""
        return self._gate.pin

    async def check_pin(self, pin: str, client: str) -> None:
        """Returns for the right PIN. Raises `Refusal`."""
        await self._gate.enter(pin, client)

    async def new_pin(self) -> str:
        """Another PIN. Raises `OSError`."""
        return await self._gate.renew()

    async def test_connection(self) -> Sequence[Check]:
        """Asks the cloud a few times. Raises `Refusal` (WEB-008) while another test runs."""
        if self._testing.locked():
            raise refusal("WEB-008")
        async with self._testing:
            return await checkup.test_connection(self._device.network.link(), self._device.client)

    async def restart(self) -> None:
        """Ends this life of the program; what it was asked before is on disk."""
        log.warning("a technician restarts the station")
        self.restart_wished.set()

    async def reset(self, *, purge: bool) -> None:
        """Durable when it returns. Raises `Refusal` (WEB-008) in `halted`."""
        log.warning("a technician resets the station; events are %s", "removed" if purge else "kept")
        if not await self._start_over.ask(Extent.ALL if purge else Extent.OWNER):
            raise refusal("WEB-008")

    async def forget_networks(self) -> None:
        """Durable when it returns. Raises `Refusal` (WEB-008) in `halted`."""
        log.warning("a technician has the station forget its networks")
        if not await self._start_over.ask(Extent.NETWORKS):
            raise refusal("WEB-008")

    async def picture(self) -> Picture:
        """The last one that came with an event. Raises `Refusal` (WEB-008) when there is none any more."""
        gathered = self._board.gathered
        file = gathered.intake.picture if gathered else None
        if file is None:
            raise refusal("WEB-008")
        try:
            return Picture(file.mime, await self._media.read(file.sha256, 0, file.size))
        except (MediaMissing, StorageFailed) as error:
            log.info("the last picture cannot be shown: %s", error)
            raise refusal("WEB-008") from None
