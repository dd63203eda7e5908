"""How an attempt to join ends in a simulated world. Pure: no time passes here and nothing is remembered."""

from __future__ import annotations

from appliance.network import verdict
from appliance.network.passphrase import can_be_wpa2
from appliance.network.port import Credentials, JoinFailed, Security
from appliance.network.scenario import SimulatedAccessPoint, World

_UNSUPPORTED = (Security.WEP, Security.ENTERPRISE)
_FAULTS = {
    "refuses": verdict.REFUSED,
    "no_dhcp": verdict.NO_ADDRESS,
    "captive": verdict.LOGIN_PAGE,
    "no_internet": verdict.NO_INTERNET,
}


def check_before(credentials: Credentials, world: World) -> None:
    """What can be known without touching the radio. Raises `JoinFailed`."""
    if not world.radio:
        raise JoinFailed(verdict.NO_RADIO, credentials.ssid)
    if credentials.security in _UNSUPPORTED:
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)
    if credentials.security is Security.WPA2 and not can_be_wpa2(credentials.passphrase or ""):
        raise JoinFailed(verdict.IMPOSSIBLE_PASSWORD, credentials.ssid)


def check_on_air(credentials: Credentials, world: World) -> None:
    """What only the attempt itself shows. Raises `JoinFailed`."""
    point = world.strongest(credentials.ssid)
    if point is None or (point.hidden and not credentials.hidden):
        raise JoinFailed(verdict.NOT_FOUND, credentials.ssid)
    if point.security in _UNSUPPORTED:
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)
    if point.security is Security.OPEN and credentials.security is not Security.OPEN:
        # An open twin of a protected network must never be taken for it.
        raise JoinFailed(verdict.NOT_FOUND, credentials.ssid)
    if point.security is not Security.OPEN and credentials.passphrase != point.password:
        raise JoinFailed(verdict.WRONG_PASSWORD, credentials.ssid)
    if code := fault_of(point, world):
        raise JoinFailed(code, credentials.ssid)


def fault_of(point: SimulatedAccessPoint, world: World) -> str | None:
    """The code of what is wrong with a network that lets the station in; None when it leads to the world."""
    return _FAULTS.get(point.fault, None if world.internet else verdict.NO_INTERNET)
