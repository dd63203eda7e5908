"""The support bundle of a running station: gathers the material from its parts, one bundle at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from appliance.device import Device
from appliance.doctor.running import Doctor, Looker
from appliance.doctor.told import told
from appliance.logs import Tail
from appliance.status import StatusBoard
from appliance.support.material import Material
from portal.present import facts
from portal.view import PhoneTrail


class Support:
    """One for the life of the program. `phones` gives how far each phone came."""

    def __init__(
        self,
        device: Device,
        board: StatusBoard,
        doctor: Doctor,
        looker: Looker,
        figures: Callable[[], str],
        tail: Tail,
        phones: Callable[[], Sequence[PhoneTrail]],
    ) -> None:
        self._device = device
        self._board = board
        self._doctor = doctor
        self._looker = looker
        self._figures = figures
        self._tail = tail
        self._phones = phones
        self._one = asyncio.Lock()

    async def bundle(self) -> bytes:
        """The .tar.gz. Takes as long as an examination of the doctor."""
        async with self._one:
            findings = told(await self._doctor.diagnose())
            patient = await self._looker.look()
            stored = await self._device.network.stored()
            status = {name: value for name, value in facts(self._board.snapshot()).items() if name != "log"}
            material = Material(
                settings=self._device.settings,
                findings=findings,
                status=status,
                metrics=self._figures(),
                buffer=patient.buffer,
                record=self._device.journal.record,
                phones=[
                    {"address": phone.address, "wrong_key": phone.wrong_key, **phone.steps}
                    for phone in self._phones()
                ],
                log=list(self._tail.history),
            )
            own = f"Meteor-{self._device.key.short_id}".encode()
            ssids = [*stored, *([patient.link.ssid] if patient.link.ssid else []), own]
            return await asyncio.to_thread(self._pack, material, ssids)

    def _pack(self, material: Material, ssids: list[bytes]) -> bytes:
        from appliance.support.bundle import pack  # here because few ever ask for it, and it blocks
        from appliance.support.known import look

        attempt = self._device.journal.record.network_attempt
        known = look(
            self._device.settings,
            os.environ,
            [*ssids, *([attempt.ssid] if attempt is not None else [])],
        )
        hotspot = self._device.network.hotspot()
        if hotspot is not None:
            known.secrets.add(hotspot.passphrase)
        return pack(material, known.redactor(), self._device.time.now())
