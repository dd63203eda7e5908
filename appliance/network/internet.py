"""Is the internet behind a link? From what a few requests met to the code of a verdict: pure.

Only the station's own cloud is asked, never a third party. Source for what a login page does: RFC 8952.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from appliance.network import verdict


class Met(StrEnum):
    """What a request met."""

    OURS = "ours"  # the answer of our cloud
    HOME = "home"  # a redirect to our cloud's own name
    FOREIGN = "foreign"  # an answer that our cloud would not give
    ERROR = "error"  # our cloud, unwell
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    NO_NAME = "no name"
    NO_TRUST = "no trust"
    WRONG_CLOCK = "wrong clock"


@dataclass(frozen=True, slots=True)
class InternetEvidence:
    """`plain` is a request without TLS, as login pages love them; `cloud` one to the cloud's address.

    `known_address` says whether the address that the cloud had before was reached when its name was not
    found; None when there is none. `portal` and `full` are NetworkManager's own opinion, if it has one.
    """

    plain: Met
    cloud: Met
    known_address: bool | None = None
    portal: bool = False
    full: bool = False


def internet_code(seen: InternetEvidence) -> str | None:
    """None when the cloud was reached, else the code of what is wrong."""
    if seen.cloud is Met.OURS:
        return None
    if seen.portal or Met.FOREIGN in (seen.plain, seen.cloud):
        return verdict.LOGIN_PAGE
    if seen.cloud is Met.NO_NAME:
        return verdict.NO_INTERNET if seen.known_address is False else verdict.NO_NAMES
    if seen.cloud is Met.WRONG_CLOCK:
        return verdict.WRONG_CLOCK
    if seen.cloud is Met.NO_TRUST:
        return verdict.NO_TRUST
    alive = seen.cloud in (Met.ERROR, Met.REFUSED, Met.HOME) or seen.plain in (Met.OURS, Met.HOME, Met.ERROR)
    return verdict.CLOUD_SILENT if alive or seen.full else verdict.NO_INTERNET


NOT_THE_NETWORKS_FAULT = frozenset({verdict.CLOUD_SILENT, verdict.WRONG_CLOCK})
"""With these the network itself is good: it is kept, and the rest mends itself."""


def is_online(code: str | None) -> bool:
    """Whether the internet was reached, as far as this network can help."""
    return code is None or code in NOT_THE_NETWORKS_FAULT


class _Health(msgspec.Struct):
    status: str
    server_time: str


def met_by(status: int, location: str, body: bytes, host: str, *, trusted: bool) -> Met:
    """What an HTTP answer means. `trusted` when TLS has proved that it is our cloud's."""
    try:
        msgspec.json.decode(body, type=_Health)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        ours = False
    else:
        ours = True
    if ours:
        return Met.OURS if status == 200 else Met.ERROR
    if trusted or status in (502, 503, 504):
        return Met.ERROR
    if 300 <= status < 400 and _leads_home(location, host):
        return Met.HOME
    return Met.FOREIGN


def _leads_home(location: str, host: str) -> bool:
    start = f"https://{host}".lower()
    rest = location.lower().removeprefix(start)
    return location.lower().startswith(start) and (not rest or rest[0] in "/:?#")
