"""What the join form sent, checked before the phone loses the hotspot; pure, and knows no radio.

Most failures can be seen without trying: a password that no router can have, a name that is too long, a
curly apostrophe that the phone's keyboard slipped in. Rules for passphrases: IEEE 802.11 Annex J (8-63
characters, or 64 hex digits for the key itself).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from portal import ssid as names
from portal.accounts import Extras
from portal.sentences import refusal
from portal.view import SECURITIES, JoinRequest, Network

# What phone keyboards put in place of ' " - and ... while typing.
_SMART = "‘’‚‛“”„‟–—…\u00a0"
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_WEP_KEY = re.compile(r"(?s).{5}|.{13}|[0-9A-Fa-f]{10}|[0-9A-Fa-f]{26}")
_CLAIM_CODE = re.compile(r"[!-~]{6,512}")


@dataclass(frozen=True, slots=True)
class JoinForm:
    """The form as it was filled in. `network` is the name in hex, or empty when `name` was typed."""

    network: str = ""
    name: str = ""
    security: str = "wpa2"
    password: str = field(default="", repr=False)
    claim_code: str = field(default="", repr=False)
    country: str = ""
    as_typed: bool = False
    code: str = field(default="", repr=False)
    extras: Extras = field(default_factory=Extras)

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> JoinForm:
        """From posted fields; what is missing or unknown gets the safe default."""
        security = fields.get("security", "")
        return cls(
            network=fields.get("network", ""),
            name=fields.get("name", ""),
            security=security if security in SECURITIES else "wpa2",
            password=fields.get("password", ""),
            claim_code=fields.get("claim_code", "").strip(),
            country=fields.get("country", ""),
            as_typed="as_typed" in fields,
            code=fields.get("code", "").strip(),
            extras=Extras.read(fields),
        )

    @property
    def typed(self) -> bool:
        """Whether the name is typed by hand instead of chosen from the list."""
        return not self.network

    def ssid(self) -> bytes:
        """The name's bytes. Raises `Refusal` (NET-101, -102, -103, -108)."""
        return _typed_name(self.name, self.as_typed) if self.typed else _chosen_name(self.network)

    def request(self, heard: Network | None) -> JoinRequest:
        """The checked request; what the radio heard of this network counts more than what the form says.

        A network that was not heard hides its name, so the radio must ask for it. Raises `Refusal` with the
        field that is wrong.
        """
        ssid = self.ssid()
        if heard and heard.beyond:
            raise refusal("NET-124")
        security = heard.security if heard else self.security
        account = self.extras.account() if security == "enterprise" else None
        passphrase = None if security == "open" else _passphrase(self.password, security, self.as_typed)
        fixed = self.extras.fixed_address()
        return JoinRequest(ssid, passphrase, heard is None, security, self.code, account, fixed)


def claim_code(text: str) -> str:
    """A claim code of plausible shape. Raises `Refusal` (NET-112); only the cloud can say more."""
    code = text.strip()
    if not _CLAIM_CODE.fullmatch(code):
        raise refusal("NET-112", field="claim_code")
    return code


def _chosen_name(network: str) -> bytes:
    try:
        return names.from_hex(network)
    except ValueError:
        raise refusal("NET-103", field="network") from None


def _typed_name(name: str, as_typed: bool) -> bytes:
    if not name.strip():
        raise refusal("NET-101", field="name")
    if name != name.strip() and not as_typed:
        raise refusal("NET-108", field="name", keep_as_typed=True)
    try:
        return names.checked(name.encode())
    except UnicodeEncodeError:
        raise refusal("NET-103", field="name") from None
    except ValueError:
        raise refusal("NET-102", field="name") from None


def _passphrase(password: str, security: str, as_typed: bool) -> str:
    if not password:
        raise refusal("NET-104", field="password")
    if security == "wep":
        if not _WEP_KEY.fullmatch(password):
            raise refusal("NET-109", field="password")
        return password
    _check_characters(password, as_typed)
    if security != "enterprise" and not _HEX_KEY.fullmatch(password):
        _check_length(password)
    return password


def _check_characters(password: str, as_typed: bool) -> None:
    if any(not character.isprintable() and character != "\u00a0" for character in password):
        raise refusal("NET-110", field="password")
    if as_typed:
        return
    smart = sorted({character for character in password if character in _SMART})
    if smart:
        seen = " ".join(smart).replace("\u00a0", "␣")
        raise refusal("NET-107", field="password", keep_as_typed=True, characters=seen)
    if password != password.strip():
        raise refusal("NET-108", field="password", keep_as_typed=True)


def _check_length(password: str) -> None:
    length = len(password.encode("utf-8", "surrogatepass"))
    if length < 8:
        raise refusal("NET-105", field="password", count=str(len(password)))
    if length > 63:
        raise refusal("NET-106", field="password", count=str(len(password)))
