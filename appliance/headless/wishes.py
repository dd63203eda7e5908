"""What `meteor.txt` says: from lines to wishes, and each line that cannot be used with its remedy; pure.

One `key = value` a line. Capitals, spaces, `:` for `=`, and `#` or `;` before a remark are allowed, because
the file is written by people, once, on whatever computer is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.headless.text import UNREADABLE, Text
from appliance.network.passphrase import can_be_wpa2
from language.languages import NAMES
from language.pseudo import LONG, RIGHT_TO_LEFT
from portal.sentences import FORM, N_
from portal.view import Notice, Sentence
from protocol.codes import CodeRefused, parse_claim_code

_ENTRY = re.compile(r"\s*([\w -]+?)\s*[=:](.*)", re.DOTALL)
_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})
LANGUAGES = {tag.lower(): tag for tag in NAMES if tag not in (LONG, RIGHT_TO_LEFT)}

UNKNOWN = N_("Line %(line)s of %(file)s is not understood.")
UNKNOWN_ACTION = N_("Write one of these, then = and a value: %(keys)s.")
WRONG = N_("The value of %(key)s in line %(line)s of %(file)s cannot be used.")
TWICE_ACTION = N_("Write it in one line only.")
INCOMPLETE = N_("Of `wifi_name` and `wifi_password`, %(file)s has only one.")
INCOMPLETE_ACTION = N_("Write both; for an open network leave the value of `wifi_password` empty.")

ONE_OF = N_("Write one of these: %(values)s.")

REMEDIES: dict[str, str] = {
    "hotspot_key": N_("Choose 8 to 63 plain letters, digits and signs, without accents."),
    "hotspot": ONE_OF,
    "country": N_("Write the two letters of the country, like `DE` or `US`."),
    "wifi_name": FORM["NET-102"][1],
    "wifi_password": FORM["NET-106"][1],
    "hidden": ONE_OF,
    "claim_code": N_("It starts with mct_ and has 47 characters. Copy it whole from your account."),
    "language": ONE_OF,
}
"""What is known, each with what a person should write."""

_VALUES = {
    "hotspot": ("open", "protected"),
    "hidden": ("yes", "no"),
    "language": tuple(LANGUAGES.values()),
}

SECRETS = frozenset({"hotspot_key", "wifi_password", "claim_code"})
TAKEN_ONCE = SECRETS | {"wifi_name", "hidden"}
"""These lines become remarks once they are taken: a network's name without its password is of no use."""


@dataclass(frozen=True, slots=True)
class Wifi:
    """A network to join. `password` is None for an open one."""

    name: str
    password: str | None = field(default=None, repr=False)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was understood. `lines` says where (from 0) the lines stand that were understood, by their key."""

    hotspot_key: str | None = field(default=None, repr=False)
    hotspot_open: bool = False
    country: str = ""
    language: str = ""
    wifi: Wifi | None = None
    claim_code: str | None = field(default=None, repr=False)
    lines: dict[str, int] = field(default_factory=dict)
    faults: tuple[Notice, ...] = ()

    @property
    def secrets(self) -> bool:
        """Whether the file holds something that nobody else should read."""
        return bool(SECRETS & self.lines.keys())


def read_wishes(text: Text, file: str, bare: str = "") -> Wishes:
    """Everything that can be used, and what is wrong with the rest. `file` is its name for people, `bare` the
    key that a line without one means."""
    reader = _Reader(file, bare)
    for number, line in enumerate(text.lines):
        reader.read(number, line)
    return reader.wishes()


class _Reader:
    def __init__(self, file: str, bare: str) -> None:
        self._file, self._bare = file, bare
        self._found: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._faults: list[Notice] = []

    def read(self, number: int, line: str) -> None:
        """Takes one line, or notes what is wrong with it."""
        bare = line.strip().strip("\0")
        if not bare or bare[0] in "#;":
            return
        key, value = self._split(bare)
        at = {"line": str(number + 1), "file": self._file}
        if key not in REMEDIES:
            action = Sentence(UNKNOWN_ACTION, {"keys": ", ".join(REMEDIES)})
            self._faults.append(Notice("BOOT-001", Sentence(UNKNOWN, at), action))
            return
        usable = _CHECKS[key](_unquoted(value))
        if key in self._found:
            self._wrong(at | {"key": key}, Sentence(TWICE_ACTION))
        elif usable is None or UNREADABLE in usable:
            self._wrong(
                at | {"key": key}, Sentence(REMEDIES[key], {"values": ", ".join(_VALUES.get(key, ()))})
            )
        else:
            self._found[key], self._lines[key] = usable, number

    def _split(self, line: str) -> tuple[str, str]:
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            return self._bare, line
        return re.sub(r"[\s-]+", "_", entry[1].lower()), entry[2].strip()

    def _wrong(self, at: dict[str, str], action: Sentence) -> None:
        self._faults.append(Notice("BOOT-001", Sentence(WRONG, at), action))

    def wishes(self) -> Wishes:
        """All of it."""
        found, wifi = self._found, self._wifi()
        if wifi is None:
            for key in ("wifi_name", "wifi_password", "hidden"):
                self._lines.pop(key, None)  # they stay in the file, to be completed
        return Wishes(
            hotspot_key=found.get("hotspot_key"),
            hotspot_open=found.get("hotspot") == "open",
            country=found.get("country", ""),
            language=found.get("language", ""),
            wifi=wifi,
            claim_code=found.get("claim_code"),
            lines=dict(self._lines),
            faults=tuple(self._faults),
        )

    def _wifi(self) -> Wifi | None:
        name, password = self._found.get("wifi_name"), self._found.get("wifi_password")
        if name is not None and password is not None:
            return Wifi(name, password or None, self._found.get("hidden") == "yes")
        if name is not None or password is not None:
            sentence = Sentence(INCOMPLETE, {"file": self._file})
            self._faults.append(Notice("BOOT-001", sentence, Sentence(INCOMPLETE_ACTION)))
        return None


def _unquoted(value: str) -> str:
    """Quotes around a value keep its spaces, and are no part of it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _key(value: str) -> str | None:
    plain = 8 <= len(value) <= 63 and value.isascii() and value.isprintable()
    return value if plain else None


def _name(value: str) -> str | None:
    return value if 1 <= len(value.encode()) <= 32 else None


def _password(value: str) -> str | None:
    return value if not value or (can_be_wpa2(value) and "\0" not in value) else None


def _claim_code(value: str) -> str | None:
    try:
        return parse_claim_code(value).text
    except CodeRefused:
        return None


def _yes(value: str) -> str | None:
    low = value.lower()
    return "yes" if low in _YES else "no" if low in _NO else None


def _hotspot(value: str) -> str | None:
    return value.lower() if value.lower() in ("open", "protected") else None


def _country(value: str) -> str | None:
    return value.upper() if re.fullmatch(r"[A-Za-z]{2}", value) else None


def _language(value: str) -> str | None:
    return LANGUAGES.get(value.lower().replace("_", "-"))


_CHECKS: dict[str, Callable[[str], str | None]] = {
    "hotspot_key": _key,
    "hotspot": _hotspot,
    "country": _country,
    "wifi_name": _name,
    "wifi_password": _password,
    "hidden": _yes,
    "claim_code": _claim_code,
    "language": _language,
}
