"""The Wi-Fi device: which one it is, what it hears, whether it may transmit; it joins nothing."""

from __future__ import annotations

import logging
import time

from dbus_fast import Variant

from appliance.network import verdict
from appliance.network.heard import BANDS
from appliance.network.networkmanager import names
from appliance.network.networkmanager.air import AccessPoint, access_point
from appliance.network.networkmanager.bus import AccessRefused, CallFailed, ServiceGone
from appliance.network.networkmanager.names import DeviceState
from appliance.network.networkmanager.service import Service
from appliance.network.port import JoinFailed

log = logging.getLogger(__name__)

SCAN_S = 20.0
"""A full scan in the widest regulatory domain took 13-16 s (measured with mac80211_hwsim)."""
WAKE_S = 15.0


class Radio:
    """The first Wi-Fi device that NetworkManager manages."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def device(self) -> str | None:
        """Its path on the bus; None without one."""
        found = [
            (state, path)
            for path, device in self._service.mirror.of(names.DEVICE)
            if device.get("DeviceType") == names.WIFI_DEVICE
            and (state := int(device.get("State", 0))) > DeviceState.UNMANAGED
        ]
        return max(found, key=lambda each: (each[0] > DeviceState.UNAVAILABLE, each[1]))[1] if found else None

    def required(self, ssid: bytes) -> str:
        """Its path. Raises `JoinFailed`."""
        if (device := self.device) is None:
            raise self._missing(ssid)
        return device

    def _missing(self, ssid: bytes) -> JoinFailed:
        """While NetworkManager is away nobody knows of radios."""
        return JoinFailed(verdict.NO_RADIO if self._service.present else verdict.BROKEN_OFF, ssid)

    @property
    def interface(self) -> str | None:
        """The kernel's name for it, as wlan0."""
        name = self._service.mirror.get(self.device, names.DEVICE).get("Interface")
        return str(name) if name else None

    @property
    def bands(self) -> frozenset[str]:
        """Where it can join; both while the driver does not say."""
        able = int(self._service.mirror.get(self.device, names.WIRELESS).get("WirelessCapabilities", 0))
        told = {band for band, flag in names.CAPABLE_OF.items() if able & flag}
        return frozenset(told) if able & names.FREQUENCIES_KNOWN and told else BANDS

    def points(self) -> list[AccessPoint]:
        """What the last scans heard, hidden networks left out."""
        paths = self._service.mirror.get(self.device, names.WIRELESS).get("AccessPoints", [])
        heard = (access_point(self._service.mirror.get(path, names.ACCESS_POINT)) for path in paths)
        return [point for point in heard if point is not None]

    async def rescan(self, ssid: bytes | None = None) -> None:
        """Listens again, and calls for one hidden network by name. Without effect when it is not allowed now.

        Ends after `SCAN_S` at the latest.
        """
        device = self.device
        if device is None:
            return
        before = self._last_scan(device)
        options = {} if ssid is None else {"ssids": Variant("aay", [ssid])}
        try:
            await self._service.call(device, names.WIRELESS, "RequestScan", "a{sv}", [options])
        except CallFailed as error:
            log.info("no new scan: %s", error)  # NetworkManager allows one in ten seconds
            return
        if not await self._service.until(lambda: self._last_scan(device) != before, SCAN_S):
            log.info("the scan did not end in time")

    def has_listened(self, seconds: float) -> bool:
        """Whether a scan ended in the last so many seconds."""
        device = self.device
        last = None if device is None else self._last_scan(device)
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        return isinstance(last, int) and last > 0 and now - last / 1000 < seconds

    def _last_scan(self, device: str) -> object:
        return self._service.mirror.get(device, names.WIRELESS).get("LastScan")

    async def wake(self, ssid: bytes) -> None:
        """Lifts a block by software. Raises `JoinFailed` when there is no radio that may transmit."""
        self.required(ssid)
        manager = self._service.mirror.get(names.MANAGER_PATH, names.MANAGER)
        if not manager.get("WirelessHardwareEnabled", True):
            log.warning("the radio is blocked by a switch (rfkill)")
            raise JoinFailed(verdict.NO_RADIO, ssid)
        if not manager.get("WirelessEnabled", True):
            await self._unblock(ssid)
        if not await self._service.until(self._usable, WAKE_S):
            raise self._missing(ssid)

    async def _unblock(self, ssid: bytes) -> None:
        log.info("switching the radio on")
        on = names.MANAGER, "WirelessEnabled", Variant("b", True)
        try:
            await self._service.call(names.MANAGER_PATH, names.PROPERTIES, "Set", "ssv", on)
        except (AccessRefused, ServiceGone):
            raise
        except CallFailed as error:
            log.warning("the radio stays blocked (rfkill): %s", error)
            raise JoinFailed(verdict.NO_RADIO, ssid) from None

    def _usable(self) -> bool:
        state = self._service.mirror.get(self.device, names.DEVICE).get("State", 0)
        return int(state) > DeviceState.UNAVAILABLE
