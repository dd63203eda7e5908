"""The parts of the join form that most people never need: an account with its certificate, a fixed address.

Pure: no file is written and nothing is tried. Rules: RFC 5280 certificates as PEM (RFC 7468), IPv4 only.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError

from portal.sentences import refusal
from portal.view import Account, FixedAddress

METHODS = ("peap", "ttls")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")
_DOMAIN = re.compile(r"(?=.{3,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_MOST_OCTETS = 253
"""Of a user name: what fits into one RADIUS attribute (RFC 2865 §5)."""


@dataclass(frozen=True, slots=True)
class Extras:
    """These fields as they were filled in."""

    identity: str = ""
    method: str = "peap"
    anonymous: str = ""
    ca: str = field(default="", repr=False)
    domain: str = ""
    unchecked: bool = False
    address: str = ""
    gateway: str = ""
    dns: str = ""

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Extras:
        """From posted fields; what is missing or unknown gets the default."""
        method = fields.get("method", "")
        return cls(
            method=method if method in METHODS else "peap",
            unchecked="unchecked" in fields,
            **{
                name: fields.get(name, "").strip()
                for name in ("identity", "anonymous", "ca", "domain", "address", "gateway", "dns")
            },
        )

    @property
    def fixed(self) -> bool:
        """Whether something of a fixed address was typed."""
        return bool(self.address or self.gateway or self.dns)

    def account(self) -> Account:
        """Raises `Refusal` (NET-114 to NET-117) with the field that is wrong."""
        for name, value in (("identity", self.identity), ("anonymous", self.anonymous)):
            if (not value and name == "identity") or not _is_user_name(value):
                raise refusal("NET-114", field=name)
        ca, domain = self._certificates(), self._domain()
        if not (ca or domain or self.unchecked):
            raise refusal("NET-117", field="domain")
        return Account(self.identity, self.method, self.anonymous, ca, domain)

    def _certificates(self) -> str:
        if not self.ca:
            return ""
        found = "\n".join(_CERTIFICATE.findall(self.ca))
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
        except (ssl.SSLError, ValueError):
            raise refusal("NET-115", field="ca") from None
        if "PRIVATE KEY" in self.ca:
            raise refusal("NET-115", field="ca")
        return found + "\n"

    def _domain(self) -> str:
        domain = self.domain.lower().removeprefix("*.").rstrip(".")
        if domain and not _DOMAIN.fullmatch(domain):
            raise refusal("NET-116", field="domain")
        return domain

    def fixed_address(self) -> FixedAddress | None:
        """None where the router shall give one. Raises `Refusal` (NET-118, NET-119, NET-121)."""
        if not self.fixed:
            return None
        own = _interface(self.address)
        gateway = _ipv4(self.gateway)
        if gateway is None or gateway not in own.network or gateway == own.ip:
            raise refusal("NET-119", field="gateway", network=str(own.network))
        servers = [_ipv4(each) for each in re.split(r"[\s,;]+", self.dns) if each] or [gateway]
        if None in servers or len(servers) > 3:
            raise refusal("NET-121", field="dns")
        return FixedAddress(own.with_prefixlen, str(gateway), tuple(str(each) for each in servers))


def _is_user_name(text: str) -> bool:
    return text.isprintable() and len(text.encode("utf-8", "surrogatepass")) <= _MOST_OCTETS


def _interface(text: str) -> IPv4Interface:
    try:
        found = IPv4Interface(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise refusal("NET-118", field="address") from None
    ends = (found.network.network_address, found.network.broadcast_address)
    prefix = found.network.prefixlen
    odd = found.is_multicast or found.is_loopback or found.is_unspecified or found.is_reserved
    if "/" not in text or not 1 <= prefix <= 30 or found.ip in ends or odd:
        raise refusal("NET-118", field="address")
    return found


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None
