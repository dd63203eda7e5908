"""Hides secrets and gives names and addresses stand-ins, the same for the same throughout one bundle.

What is known to be secret is hidden wherever it stands, in every form in which programs write it; what looks
secret is hidden although nobody knows it. Too much is hidden rather than too little.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from appliance.network.verdict import VERDICTS
from portal.ssid import display

HIDDEN = "[hidden]"
SECRET_NAME = re.compile(
    r"(?i)pass(?:word|phrase|wd)?|psk|secret|token|credential|private|api_?key|auth|(?:^|[_-])(?:pin|key|card)s?$"
)
"""Names of fields and variables whose values are secret."""

SHORTEST_SECRET = 4
EVERYWHERE = 6
"""A name of a network of so many letters is replaced inside words too; a shorter one could be any word."""

_SECRETS = (
    re.compile(r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|\Z)", re.DOTALL),
    re.compile(r"mct_[\w-]*"),
    re.compile(r"eyJ[\w-]+(?:\.[\w-]*){1,4}"),
    re.compile(r"(?i)(?<=bearer )\S+"),
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),
    re.compile(r"(?<=[\w/])\?[^\s\"'<>]*=[^\s\"'<>)]*"),
    re.compile(r"(?i)\bpin\b[^\d\n]{0,20}\d{3}[ \-]?\d{3}\b"),
    re.compile(
        r"(?i)(?:password|passphrase|passwd|psk|secret|token|api_?key)[\w.-]{0,40}[\"']{0,2}\s{0,2}[=:]\s{0,2}"
        r"(?:\\?\"[^\"\n]*\"?|'[^'\n]*'?|\S+)"
    ),
    re.compile(r"\bWIFI:\S*"),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),
)
_RANDOM = re.compile(r"[\w+-]{20,}={0,2}")
_PUBLIC_ID = re.compile(r"(?:dev|clm|upl)_[0-9A-Z]{26}|MID_[0-9a-f]{16}")
_BYTES = re.compile(r"""\bb'((?:[^'\\]|\\.)*)'|\bb"((?:[^"\\]|\\.)*)\"""")
_MAC = re.compile(r"(?i)(?<![\w:-])[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![\w:-])")
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?i)(?<![\w:.])[0-9a-f]{0,4}:[0-9a-f:]*:[0-9a-f:.]*(?:%[\w.-]+)?(?![\w:])")
_SENTENCES = tuple(
    re.compile(
        (r"(?:\A|(?<=: ))(?!NET-)" if each.sentence.startswith("%") else "")
        + re.escape(each.sentence).replace(re.escape("%(ssid)s"), r"(?P<ssid>[^\n]{1,140}?)")
    )
    for each in VERDICTS.values()
    if "%(ssid)s" in each.sentence
)
"""How verdicts tell a network's name in the log, also of one that is not known any more; bounded, because a
line may be long."""


class Redactor:
    """One for one bundle."""

    def __init__(
        self, secrets: Iterable[str] = (), ssids: Iterable[bytes] = (), macs: Iterable[str] = ()
    ) -> None:
        self._stands: dict[tuple[str, str], str] = {}
        hidden = {form for each in secrets if len(each) >= SHORTEST_SECRET for form in _forms(each.encode())}
        self._secrets = _any_of(hidden)
        self._names: dict[str, str] = {}
        for ssid in dict.fromkeys(ssids):
            self._names.update(dict.fromkeys(_forms(ssid), self._stand("ssid", ssid.hex())))
        self._known_names = _any_of(self._names, whole_words_below=EVERYWHERE)
        self._macs = {mac.lower().replace(":", ""): self._stand("mac", _plain(mac)) for mac in macs}
        self._bare_macs = _any_of(self._macs)

    def value(self, value: Any) -> Any:
        """A JSON value with everything in it redacted; fields with a secret's name are hidden whole."""
        if isinstance(value, dict):
            return {self.text(str(name)): self._field(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def _field(self, name: str, value: Any) -> Any:
        if SECRET_NAME.search(name) and value and not isinstance(value, bool | float):
            return HIDDEN
        return self.value(value)

    def text(self, text: str) -> str:
        """One or many lines."""
        text = self._secrets.sub(HIDDEN, text)
        for pattern in _SECRETS:
            text = pattern.sub(HIDDEN, text)
        text = self._name_networks(text)
        text = _RANDOM.sub(_unless_public, text)
        text = self._bare_macs.sub(lambda found: self._macs[found[0].lower()], text)
        text = _MAC.sub(lambda found: self._stand("mac", _plain(found[0])), text)
        text = _IP6.sub(self._address, text)
        return _IP4.sub(self._address, text)

    def _name_networks(self, text: str) -> str:
        text = _BYTES.sub(lambda found: self._network(found[0], found[1] or found[2] or ""), text)
        text = self._known_names.sub(lambda found: self._names[found[0]], text)
        for pattern in _SENTENCES:
            text = pattern.sub(self._in_sentence, text)
        return text

    def _in_sentence(self, found: re.Match[str]) -> str:
        name = found["ssid"]
        if re.fullmatch(r"ssid-\d+|the network|The station", name):
            return found[0]
        return found[0].replace(name, self._stand("ssid", name.encode().hex()), 1)

    def _network(self, whole: str, inside: str) -> str:
        if whole[2:-1] in self._names:
            return self._names[whole[2:-1]]
        ssid = inside.encode("utf-8").decode("unicode_escape").encode("latin-1", "replace")
        return self._stand("ssid", ssid.hex()) if inside else whole

    def _address(self, found: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(found[0].partition("%")[0].rstrip(":.") or "-")
        except ValueError:
            return found[0]
        if address.version == 4 and not address.is_global:
            return found[0]
        if address.is_loopback or address.is_unspecified:
            return found[0]
        return self._stand("ip", str(address))

    def _stand(self, kind: str, what: str) -> str:
        known = sum(each == kind for each, _ in self._stands)
        return self._stands.setdefault((kind, what), f"{kind}-{known + 1}")


def _plain(mac: str) -> str:
    return mac.lower().replace("-", ":")


def _unless_public(found: re.Match[str]) -> str:
    """Whether it looks drawn at random: capitals, small letters and digits, and no id that is public."""
    text = found[0]
    mixed = re.search(r"[a-z]", text) and re.search(r"[A-Z]", text) and re.search(r"[0-9]", text)
    return HIDDEN if mixed and not _PUBLIC_ID.fullmatch(text) else text


def _forms(value: bytes) -> Iterator[str]:
    """As text, as Python and JSON write it, in hexadecimal, in base64 and in an address."""
    text = value.decode("utf-8", "backslashreplace")
    grouped = re.fullmatch(r"(\d{3})(\d{3})", text)
    coded = base64.b64encode(value).decode()
    yield from {
        text,
        display(value),
        repr(text)[1:-1],
        repr(value)[2:-1],
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        quote(value, safe=""),
        value.hex(),
        value.hex().upper(),
        value.hex(":"),
        coded,
        coded.rstrip("="),
        base64.urlsafe_b64encode(value).decode().rstrip("="),
        *([f"{grouped[1]} {grouped[2]}", f"{grouped[1]}-{grouped[2]}"] if grouped else ()),
    } - {""}


def _any_of(words: Iterable[str], whole_words_below: int = 0) -> re.Pattern[str]:
    """Any of these, the longest first; none matches nothing."""
    parts = [
        rf"(?<!\w){re.escape(each)}(?!\w)" if len(each) < whole_words_below else re.escape(each)
        for each in sorted(words, key=lambda each: (-len(each), each))
    ]
    return re.compile("|".join(parts) or r"(?!)")
