"""Which drivers this station uses: the machine's own, or the simulated ones."""

from __future__ import annotations

import logging
import sys
import time
from functools import partial
from pathlib import Path

from appliance.errors import StartRefused
from appliance.network.host import HostNetwork
from appliance.network.hotspot.air import RadioCheck
from appliance.network.hotspot.phones import Phones
from appliance.network.hotspot.services import HotspotServer
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.hotspot_ports import HotspotServices
from appliance.network.networkmanager.service import has_networkmanager
from appliance.network.port import NetworkPort
from appliance.network.probe import Probe
from appliance.network.sae import RadioSae
from appliance.network.scenario import ScenarioRefused, read
from appliance.network.simulated import SimulatedNetwork
from appliance.paths import Paths
from appliance.settings import Settings
from appliance.uplink.client import trust
from firmware.button import Button, NoButton
from firmware.clock import Clock, SystemClock, read_kept_time
from firmware.display import ConsoleDisplay, Display, NoDisplay
from firmware.errors import LedUnavailable
from firmware.fakes import FakeLed
from firmware.led import SYSFS, Led, NoLed, SysfsLed, find_channels
from firmware.pattern import Pattern
from firmware.sound import Silence, Sound

log = logging.getLogger(__name__)


async def network(settings: Settings, paths: Paths, phones: Phones | None = None) -> NetworkPort:
    """The network that the settings ask for; `phones` learns who comes to its hotspot.

    Raises `StartRefused` for a scenario that cannot be played.
    """
    backend = settings.network.backend
    if backend == "simulated":
        return _simulated(settings, paths)
    if backend == "auto":
        backend = "networkmanager" if await has_networkmanager() else "host"
        log.info("network backend: %s", backend)
    if backend == "host":
        return HostNetwork()
    services = hotspot_services(settings, paths, phones or Phones(time.monotonic))
    return _networkmanager(settings, services, dedicated=settings.network.backend == "networkmanager")


def _networkmanager(settings: Settings, services: HotspotServices, *, dedicated: bool) -> NetworkPort:
    cloud = settings.cloud
    probe = Probe(cloud.url, settings.network.check_url, partial(trust, cloud.ca_certificate, cloud.url))
    return NetworkManagerNetwork(
        probe,
        services=services,
        check=RadioCheck(),
        sae=RadioSae(),
        dedicated=dedicated,
        allow_open=settings.network.allow_open_networks,
    )


def hotspot_services(settings: Settings, paths: Paths, phones: Phones) -> HotspotServices:
    """Addresses, names and the packet filter for the phones on the hotspot."""
    return HotspotServer(paths.run, settings.portal.port, phones)


def _simulated(settings: Settings, paths: Paths) -> NetworkPort:
    named = Path(settings.network.scenario) if settings.network.scenario else None
    played = named or paths.state / "scenario.toml"
    if played.exists():
        try:
            read(played)
        except ScenarioRefused as error:
            raise StartRefused(str(error)) from None
    return SimulatedNetwork(paths.state, named)


def clock(paths: Paths) -> Clock:
    """The machine's clock, above its floor: the age of this program, or a later time that was kept."""
    return SystemClock(built=Path(__file__).stat().st_mtime, kept=read_kept_time(paths.clock_floor))


def led(settings: Settings) -> Led:
    """A light that is seen in the log when simulated, the board's own when it has one, or none."""
    if settings.network.backend == "simulated":
        fake = FakeLed()
        fake.observe(_say)
        return fake
    try:
        return SysfsLed(SYSFS, find_channels())
    except LedUnavailable as error:
        log.info("no status light: %s", error)
        return NoLed()


def _say(pattern: Pattern) -> None:
    log.info("LED %s %s: %s", pattern.colour.value, pattern.shape.value, pattern.spoken)


def display(settings: Settings) -> Display:
    """The terminal, when there is one or when the display is simulated."""
    if settings.network.backend == "simulated" or sys.stdout.isatty():
        return ConsoleDisplay(sys.stdout)
    return NoDisplay()


def sound() -> Sound:
    """No loudspeaker until one is configured."""
    return Silence()


def button() -> Button:
    """No button until one is wired and configured."""
    return NoButton()
