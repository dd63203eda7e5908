"""One activation of one profile, with all that was seen until its end; nothing is undone here."""

from __future__ import annotations

import logging

from dbus_fast import Message, unpack_variants

from appliance.network import verdict
from appliance.network.networkmanager import names
from appliance.network.networkmanager.activation import activate
from appliance.network.networkmanager.air import AccessPoint, named
from appliance.network.networkmanager.names import DeviceState
from appliance.network.networkmanager.profiles import KeyManagement
from appliance.network.networkmanager.radio import Radio
from appliance.network.networkmanager.reasons import Evidence, code_of
from appliance.network.networkmanager.service import Service
from appliance.network.port import JoinFailed

log = logging.getLogger(__name__)

LONGEST_S = 120.0
"""NetworkManager gives up by itself after 25 s of searching, 25 s of the supplicant and our DHCP time-out."""


class Attempt:
    """Used once: `run`, and after a failure `code` says why."""

    def __init__(self, service: Service, radio: Radio, ssid: bytes, way: KeyManagement) -> None:
        self._service = service
        self._radio = radio
        self._ssid = ssid
        self._way = way
        self._before = radio.points()
        self._steps: list[tuple[int, int]] = []
        self._supplicant: set[str] = set()
        self._status: dict[str, int] = {}

    async def run(self, profile: str) -> None:
        """Activates the profile with this path. Raises `JoinFailed`, `CallFailed`."""
        device = self._radio.required(self._ssid)
        with self._service.listening(self._note):
            is_up = await activate(self._service, profile, device, LONGEST_S, self._failed)
        if not is_up:
            raise JoinFailed(self._code(), self._ssid)

    def _failed(self) -> bool:
        return self._radio.device is None or any(new == DeviceState.FAILED for new, _ in self._steps)

    # --- evidence -------------------------------------------------------------------------------------------

    def _note(self, message: Message) -> None:
        if message.interface == names.DEVICE and message.member == "StateChanged":
            if message.path == self._radio.device:
                new, _, reason = message.body
                self._note_step(new, reason)
        elif message.interface == names.PROPERTIES and message.body[0] == names.SUPPLICANT_INTERFACE:
            self._note_supplicant(unpack_variants(message.body)[1])

    def _note_step(self, new: int, reason: int) -> None:
        if not self._steps and (new < DeviceState.PREPARE or new >= DeviceState.DEACTIVATING):
            return  # the end of what was there before
        self._steps.append((new, reason))

    def _note_supplicant(self, changed: dict[str, object]) -> None:
        if isinstance(state := changed.get("State"), str):
            self._supplicant.add(state)
        for name in ("AuthStatusCode", "AssocStatusCode", "DisconnectReason"):
            if isinstance(value := changed.get(name), int):
                self._status[name] = value

    def _code(self) -> str:
        if self._radio.device is None:
            return verdict.NO_RADIO
        evidence = self.evidence(self._radio.points())
        log.info("attempt with %r failed: %s", self._ssid, evidence)
        return code_of(evidence)

    def evidence(self, now: list[AccessPoint]) -> Evidence:
        """What was seen. A network that vanished during the attempt counts as away."""
        points = named(now, self._ssid)
        return Evidence(
            way=self._way,
            steps=tuple(self._steps),
            signal=points[0].signal if points else None,
            sae_seen=any(point.sae for point in [*points, *named(self._before, self._ssid)]),
            supplicant=frozenset(self._supplicant),
            auth_status=self._status.get("AuthStatusCode"),
            assoc_status=self._status.get("AssocStatusCode"),
            disconnect_reason=self._status.get("DisconnectReason"),
        )


async def attempt(service: Service, radio: Radio, ssid: bytes, way: KeyManagement, profile: str) -> None:
    """Tries once. Raises `JoinFailed` with the verdict, `CallFailed` when NetworkManager refuses to try."""
    await Attempt(service, radio, ssid, way).run(profile)
