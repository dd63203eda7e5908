"""Gathers what must be hidden: secrets, names of networks and hardware addresses of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from appliance.paths import Paths
from appliance.settings import Settings
from appliance.support.redact import SECRET_NAME, Redactor
from firmware.board import read_board

_PROFILES = ("etc/NetworkManager/system-connections", "run/NetworkManager/system-connections")
_NAMES_OF_NETWORKS = {"ssid", "ssid_hex", "wifi_name"}
"""Of fields in the station's own files; most hold the name in hexadecimal."""
_OF_A_NETWORK = {"id", "ssid"}
_OF_AN_ACCOUNT = {"identity", "anonymous-identity", "anonymous_identity"}


@dataclass
class Known:
    """What was found."""

    secrets: set[str]
    ssids: list[bytes]
    macs: list[str]

    def redactor(self) -> Redactor:
        """For one bundle."""
        return Redactor(sorted(self.secrets), self.ssids, self.macs)


def look(
    settings: Settings, environment: Mapping[str, str], ssids: Iterable[bytes] = (), root: Path = Path("/")
) -> Known:
    """Reads everything that may hold a secret, as far as it may be read. Blocks."""
    paths = Paths(settings.data_dir)
    known = Known(set(), list(ssids), [each.address for each in read_board(root).addresses])
    for _, value in _leaves(msgspec.to_builtins(settings)):
        known.secrets.update(part for _, part in parse_qsl(urlsplit(value).query))
    for name, value in environment.items():
        if SECRET_NAME.search(name):
            known.secrets.add(value)
    for folder in (paths.identity, paths.state):
        for path in _files(folder):
            _take_file(known, path)
    for profiles in _PROFILES:
        for path in _files(root / profiles):
            _take_profile(known, path)
    return known


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _take_file(known: Known, path: Path) -> None:
    text = _read(path)
    if path.suffix == ".key":
        known.secrets |= {line.strip() for line in text.splitlines() if not line.startswith("-----")}
        return
    try:
        content = json.loads(text)
    except ValueError:
        return
    for name, value in _leaves(content):
        if SECRET_NAME.search(name) or name in _OF_AN_ACCOUNT:
            known.secrets.add(value)
        elif name in _NAMES_OF_NETWORKS and value:
            known.ssids += dict.fromkeys((_from_hex(value), value.encode()))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text with the name of its field."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str):
        yield name, value


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


def _take_profile(known: Known, path: Path) -> None:
    """NetworkManager's keyfile: `name=value`, an SSID also as numbers with semicolons."""
    for line in _read(path).splitlines():
        name, mark, value = (part.strip() for part in line.partition("="))
        if not mark or not value:
            continue
        if name in _OF_A_NETWORK:
            known.ssids.append(_ssid(value))
        elif SECRET_NAME.search(name) or name in _OF_AN_ACCOUNT or name.startswith("wep-key"):
            known.secrets.add(value)


def _ssid(value: str) -> bytes:
    parts = [part for part in value.split(";") if part]
    if value.endswith(";") and all(part.isdigit() and int(part) < 256 for part in parts):
        return bytes(int(part) for part in parts)
    return value.encode()
