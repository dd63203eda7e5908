"""The list of networks as a person chooses from it: one row per name, strongest first; no radio here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from portal.ssid import display, to_hex
from portal.view import Network


@dataclass(frozen=True, slots=True)
class Choice:
    """One row of the list."""

    network: Network
    bands: tuple[str, ...]

    @property
    def hex(self) -> str:
        return to_hex(self.network.ssid)

    @property
    def name(self) -> str:
        return display(self.network.ssid)

    @property
    def bars(self) -> int:
        """One to four bars; the steps are where phones put theirs."""
        return 1 + sum(self.network.signal >= step for step in (30, 55, 75))

    @property
    def locked(self) -> bool:
        return self.network.security != "open"


def choices(networks: Iterable[Network]) -> list[Choice]:
    """One choice for each name (compared as bytes), strongest first; hidden and impossible names left out."""
    grouped: dict[bytes, list[Network]] = {}
    for network in networks:
        if 1 <= len(network.ssid) <= 32 and any(network.ssid):
            grouped.setdefault(network.ssid, []).append(network)
    merged = [_merged(group) for group in grouped.values()]
    return sorted(merged, key=lambda choice: (-choice.network.signal, choice.network.ssid))


def find(networks: Iterable[Network], ssid: bytes) -> Choice | None:
    """The choice with exactly these bytes."""
    return next((choice for choice in choices(networks) if choice.network.ssid == ssid), None)


def _merged(group: list[Network]) -> Choice:
    # An open network with a familiar name must not take the place of the protected one it imitates.
    best = max(group, key=lambda network: (network.security != "open", network.signal))
    known = any(network.known for network in group)
    bands = tuple(sorted({network.band for network in group if network.band}))
    return Choice(replace(best, known=known), bands)
