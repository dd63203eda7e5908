"""From what was seen of a failed attempt to the verdict that a person reads: pure, a table.

NetworkManager's reasons alone do not tell: before 1.58 it reports a wrong WPA3 password as "network not
found" or as a time-out of the supplicant. So it counts as well whether the network was in the air.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.network import verdict
from appliance.network.networkmanager.names import DeviceState, Reason
from appliance.network.networkmanager.profiles import KeyManagement

GOOD_SIGNAL = 35
"""Of 100: about -83 dBm, above which an answer to a handshake is to be expected."""

# IEEE 802.11-2020 tables 9-50 and 9-49
_WRONG_KEY_STATUS = {15}
_FULL_STATUS = {17}
_WRONG_KEY_DEAUTH = {15, 23}
_FULL_DEAUTH = {5}

_NO_ADDRESS = {
    Reason.IP_CONFIG_UNAVAILABLE,
    Reason.IP_CONFIG_EXPIRED,
    Reason.DHCP_START_FAILED,
    Reason.DHCP_ERROR,
    Reason.DHCP_FAILED,
    Reason.IP_ADDRESS_DUPLICATE,
}
_NO_RADIO = {Reason.NOW_UNMANAGED, Reason.FIRMWARE_MISSING, Reason.REMOVED, Reason.SLEEPING}
_BROKEN_OFF = {Reason.CONNECTION_REMOVED, Reason.USER_REQUESTED, Reason.NEW_ACTIVATION}
_SUPPLICANT = {Reason.SUPPLICANT_DISCONNECT, Reason.SUPPLICANT_FAILED, Reason.SUPPLICANT_TIMEOUT}
_PASSWORD = {KeyManagement.PSK, KeyManagement.PSK_ONLY, KeyManagement.SAE, KeyManagement.EAP}
_MAY_BE_SAE = {KeyManagement.SAE, KeyManagement.PSK}


_ANSWERED = {"associating", "associated", "4way_handshake", "group_handshake", "completed"}
"""States of the supplicant that only an answer of the network leads to."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one attempt.

    `steps` are the device's changes as (new state, reason). `signal` is the strongest in the scan list at the
    end, 0-100, or None when the network is not in it; `sae_seen` whether it offers WPA3. The rest comes from
    the supplicant, if it lets this user listen: states that it went through, 802.11 status codes of the last
    answers, and the 802.11 reason of the last disconnection (negative when the station itself left).
    """

    way: KeyManagement
    steps: tuple[tuple[int, int], ...] = ()
    signal: int | None = None
    sae_seen: bool = False
    supplicant: frozenset[str] = frozenset()
    auth_status: int | None = None
    assoc_status: int | None = None
    disconnect_reason: int | None = None


def code_of(seen: Evidence) -> str:
    """The verdict's code of an attempt that failed."""
    reasons = {reason for _, reason in seen.steps}
    if reasons & _NO_RADIO:
        return verdict.NO_RADIO
    if reasons & _NO_ADDRESS:
        return verdict.NO_ADDRESS
    if Reason.NO_SECRETS in reasons:
        return verdict.WRONG_PASSWORD if seen.way in _PASSWORD else verdict.REFUSED
    if Reason.SUPPLICANT_CONFIG_FAILED in reasons:
        return verdict.UNSUPPORTED
    if reasons & _SUPPLICANT or Reason.SSID_NOT_FOUND in reasons:
        return _not_let_in(seen, reasons)
    if reasons & _BROKEN_OFF:
        return verdict.BROKEN_OFF
    return verdict.NOT_FOUND if seen.signal is None else verdict.REFUSED


def _not_let_in(seen: Evidence, reasons: set[int]) -> str:
    """The radio tried and no link came of it."""
    if _wrong_key(seen):
        return verdict.WRONG_PASSWORD
    if seen.assoc_status in _FULL_STATUS or seen.auth_status in _FULL_STATUS:
        return verdict.REFUSED
    if seen.disconnect_reason in _FULL_DEAUTH:
        return verdict.REFUSED
    if seen.signal is None or seen.signal < GOOD_SIGNAL or _nobody_answered(seen):
        return verdict.NOT_FOUND
    return verdict.WRONG_PASSWORD if _password_is_likely(seen, reasons) else verdict.REFUSED


def _wrong_key(seen: Evidence) -> bool:
    """What the network or the supplicant said about the key."""
    if seen.way not in _PASSWORD:
        return False
    if seen.auth_status in _WRONG_KEY_STATUS or seen.disconnect_reason in _WRONG_KEY_DEAUTH:
        return True
    return "4way_handshake" in seen.supplicant and "group_handshake" not in seen.supplicant


def _nobody_answered(seen: Evidence) -> bool:
    """The list still has the network, but the supplicant, which lets us listen, heard nothing of it."""
    answers = (seen.auth_status, seen.assoc_status, seen.disconnect_reason)
    return bool(seen.supplicant) and not seen.supplicant & _ANSWERED and set(answers) == {None}


def _password_is_likely(seen: Evidence, reasons: set[int]) -> bool:
    """The network is near and did not let the station in: in WPA3 that is how a wrong password looks."""
    if seen.way not in _PASSWORD:
        return False
    if _reached(seen, DeviceState.NEED_AUTH):
        return True
    if seen.way is KeyManagement.SAE or (seen.way in _MAY_BE_SAE and seen.sae_seen):
        return seen.assoc_status in (None, 0)
    return False if Reason.SSID_NOT_FOUND in reasons else Reason.SUPPLICANT_DISCONNECT in reasons


def _reached(seen: Evidence, state: DeviceState) -> bool:
    return any(state <= new <= DeviceState.ACTIVATED for new, _ in seen.steps)
