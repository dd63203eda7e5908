"""Which network a request comes from, as the key that limits are charged to. Decides nothing."""

from __future__ import annotations

import ipaddress

from aiohttp import web

from cloud.keys import SETTINGS


def client_address(request: web.Request) -> str:
    """The caller's address; behind a trusted proxy the last entry that the proxy itself added."""
    if request.app[SETTINGS].trust_forwarded:
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if forwarded:
            return forwarded
    return request.remote or "unknown"


def client_network(request: web.Request) -> str:
    """An IPv4 address or an IPv6 /64, which is what one household has. Unreadable addresses share one key."""
    try:
        address = ipaddress.ip_address(client_address(request).partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
