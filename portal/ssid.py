"""Network names: bytes on the air and in forms, text only for the eye; no checks of passwords here.

IEEE 802.11 gives an SSID 0 to 32 octets and no encoding, so two names may look alike and differ, and a
name may hold anything: markup, control characters, marks that turn the reading direction around.
"""

from __future__ import annotations

import unicodedata

MAX_OCTETS = 32
_JOINERS = "\u200c\u200d"  # needed inside emoji and Persian or Indic words, harmless between letters there


def display(ssid: bytes) -> str:
    """`ssid` for a person's eye: undecodable and invisible parts made visible, never empty."""
    text = ssid.decode("utf-8", errors="backslashreplace")
    seen = "".join(_visible(text, index) for index in range(len(text)))
    core = seen.strip(" ")
    before, after = seen[: len(seen) - len(seen.lstrip(" "))], seen[len(seen.rstrip(" ")) :] if core else ""
    return "␣" * len(before) + core + "␣" * len(after) or "∅"


def _visible(text: str, index: int) -> str:
    character = text[index]
    if character in _JOINERS and _joins(text, index):
        return character
    if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{ord(character):04x}" if character >= "\x80" else f"\\x{ord(character):02x}"
    return " " if unicodedata.category(character) == "Zs" else character


def _joins(text: str, index: int) -> bool:
    return 0 < index < len(text) - 1 and text[index - 1] > "\x7f" and text[index + 1] > "\x7f"


def to_hex(ssid: bytes) -> str:
    """`ssid` as it travels in forms and addresses."""
    return ssid.hex()


def from_hex(text: str) -> bytes:
    """The bytes behind `to_hex`. Raises ValueError unless it is 1 to 32 octets of plain hex."""
    ssid = bytes.fromhex(text)
    if ssid.hex() != text.lower():
        raise ValueError("spaces in a hex name")
    return checked(ssid)


def checked(ssid: bytes) -> bytes:
    """`ssid` itself. Raises ValueError unless it has 1 to 32 octets."""
    if not 1 <= len(ssid) <= MAX_OCTETS:
        raise ValueError(f"a network name has 1 to {MAX_OCTETS} octets, not {len(ssid)}")
    return ssid
