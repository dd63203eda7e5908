"""Which networks may speak to this cloud at all, as the settings say it. Pure: rules and addresses only."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HEALTH = "/health"


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation; an address alone is one too. Raises `ValueError` that names the entry."""
    return tuple(_network(entry) for entry in entries)


def _network(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise ValueError(f"{error}. Write an entry like 192.0.2.0/24 or 2001:db8::/32") from None


class NetworkRules:
    """Who is let in. What is denied is denied, also where it is allowed too; an empty `allow` allows all.

    An address that cannot be read is refused as soon as there is any rule. The health check of this machine
    itself needs no permission, but can be denied.
    """

    def __init__(self, deny: Iterable[str], allow: Iterable[str]) -> None:
        self._deny, self._allow = networks(deny), networks(allow)

    def __bool__(self) -> bool:
        return bool(self._deny or self._allow)

    def lets_in(self, address: str, path: str) -> bool:
        """Whether this address may have an answer at this path. Reads no header and no body."""
        if not self:
            return True
        known = _address(address)
        if known is None or _among(known, self._deny):
            return False
        return not self._allow or _among(known, self._allow) or (path == HEALTH and known.is_loopback)


def _address(text: str) -> Address | None:
    """IPv4 that is written as IPv6 is IPv4: else a rule could be passed by the other spelling."""
    try:
        known = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (known.ipv4_mapped or known) if isinstance(known, ipaddress.IPv6Address) else known


def _among(address: Address, known: tuple[Network, ...]) -> bool:
    return any(address in each for each in known)
