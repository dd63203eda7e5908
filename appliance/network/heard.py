"""From the transmitters that a radio heard to the networks that a person chooses from: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from appliance.network.port import Network, Security

BANDS = frozenset({"2.4", "5"})


class Transmitter(Protocol):
    """One access point. `signal` is 0-100, `band` one of `BANDS`."""

    @property
    def ssid(self) -> bytes: ...
    @property
    def signal(self) -> int: ...
    @property
    def security(self) -> Security: ...
    @property
    def band(self) -> str: ...


def networks(
    points: Iterable[Transmitter],
    known: Collection[bytes],
    bands: Collection[str] = BANDS,
    *,
    sae: bool = True,
) -> list[Network]:
    """One network per SSID, strongest first, with every band in which it is; `bands` are the radio's own,
    `sae` whether it can do WPA3.

    A name is judged by the transmitters that the radio can join, the strongest of them, and an open one
    never stands for the protected one that it imitates. A name in none of the radio's bands stays in the
    list as it was heard, so that a person sees why it cannot be chosen.
    """
    named: dict[bytes, list[Transmitter]] = {}
    for point in points:
        named.setdefault(point.ssid, []).append(point)
    found = [_network(group, ssid in known, bands, sae) for ssid, group in named.items()]
    return sorted(found, key=lambda network: (-network.signal, network.ssid))


def _network(group: list[Transmitter], known: bool, bands: Collection[str], sae: bool) -> Network:
    within = [point for point in group if point.band in bands] or group
    if not sae:
        within = [p for p in within if p.security not in (Security.WPA3, Security.OPEN)] or within
    best = max(within, key=lambda point: (point.security is not Security.OPEN, point.signal))
    there = tuple(sorted({point.band for point in within}))
    beyond = not sae and best.security is Security.WPA3
    return Network(best.ssid, best.signal, best.security, there, known, beyond)
