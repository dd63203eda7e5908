"""The packet filter of the set-up hotspot, as the text that nft reads: pure; it is put in force elsewhere.

Only what comes from, or would go to, the hotspot's interface is touched; the rest of the machine keeps its
own rules, which may forbid more. The table is ours alone, and one transaction replaces it whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_interface

TABLE = "inet meteor_hotspot"
HTTP = 80

REMOVE = f"table {TABLE}\ndelete table {TABLE}\n"
"""Declared before it is deleted, so that a table that is not there is no error."""

_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


def ruleset(interface: str, addresses: Sequence[str], portal_port: int) -> str:
    """The rules for `interface`, whose own `addresses` come with or without prefix.

    Raises `ValueError` for what cannot be a name of an interface or an address.
    """
    if not _INTERFACE.fullmatch(interface) or interface == "lo":
        raise ValueError(f"interface: {interface!r} can be none of a hotspot.")
    own = ", ".join(str(ip_interface(each).ip) for each in addresses)
    return f"""{REMOVE}table {TABLE} {{
    chain arriving {{
        type nat hook prerouting priority dstnat; policy accept;
{_redirect(interface, own, portal_port)}    }}
    chain input {{
        type filter hook input priority filter - 10; policy accept;
        iifname "{interface}" jump from_phones
    }}
    chain from_phones {{
        udp sport 68 udp dport 67 accept
        ip daddr != {{ {own} }} drop
        udp dport 53 accept
        tcp dport 53 accept
        tcp dport {portal_port} accept
        tcp dport 443 reject with tcp reset
        icmp type echo-request limit rate 10/second burst 20 packets accept
        drop
    }}
    chain forward {{
        type filter hook forward priority filter - 10; policy accept;
        iifname "{interface}" drop
        oifname "{interface}" drop
    }}
}}
"""


def _redirect(interface: str, own: str, port: int) -> str:
    """Phones come by port 80. The portal sends them on to where it really listens, so that is open too."""
    if port == HTTP:
        return ""
    return f'        iifname "{interface}" ip daddr {{ {own} }} tcp dport {HTTP} redirect to :{port}\n'
