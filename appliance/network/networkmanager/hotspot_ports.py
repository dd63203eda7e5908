"""What the set-up hotspot asks of others: its services, and a look at the radio from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class HotspotServices(Protocol):
    """What a phone needs on the hotspot beside the radio: addresses, names, and a closed door behind them."""

    async def guard(self, interface: str, addresses: Sequence[str]) -> None:
        """Closes the door, before the radio opens. Raises `HotspotFailed`."""

    async def start(self, interface: str, addresses: Sequence[str]) -> None:
        """`addresses` come with prefix, the hotspot's network first. Raises `HotspotFailed`."""

    async def stop(self) -> None:
        """Ends what `guard` and `start` began, in this life of the station or in an earlier one."""

    def observe(self, observer: Callable[[bool], None]) -> None:
        """Tells `observer` of each phone that came whether it got in, as far as that can be known."""


class HotspotCheck(Protocol):
    """Whether the hotspot is really in the air."""

    async def is_in_the_air(self, interface: str, ssid: str, channel: int) -> bool:
        """Looks at the radio itself, not at what NetworkManager believes."""


class NoServices:
    """For a machine where others serve the hotspot."""

    async def guard(self, interface: str, addresses: Sequence[str]) -> None:
        """Nothing."""

    async def start(self, interface: str, addresses: Sequence[str]) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""

    def observe(self, observer: Callable[[bool], None]) -> None:
        """Nobody is seen."""


class BelieveNetworkManager:
    """For a machine without a way to look."""

    async def is_in_the_air(self, interface: str, ssid: str, channel: int) -> bool:
        """True."""
        return True
