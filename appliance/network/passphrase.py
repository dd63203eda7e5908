"""Which texts can be the passphrase of a protected network; pure."""

from __future__ import annotations

_HEX = frozenset(b"0123456789abcdefABCDEF")


def can_be_sent(passphrase: str) -> bool:
    """Whether a text can travel at all: some, and neither a zero nor half a character in it."""
    return (
        bool(passphrase)
        and "\0" not in passphrase
        and not any(0xD800 <= ord(c) <= 0xDFFF for c in passphrase)
    )


def can_be_wpa2(passphrase: str) -> bool:
    """IEEE 802.11 allows a passphrase of 8 to 63 octets or a key of 64 hexadecimal digits."""
    octets = passphrase.encode("utf-8", "surrogatepass")
    return 8 <= len(octets) <= 63 or (len(octets) == 64 and all(c in _HEX for c in octets))
