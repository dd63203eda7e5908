"""What makes a machine itself, as keyed hashes, and how much of it two machines share. Proves nothing.

The parts are public (a serial stands on the board, an address on the network), so a match only ever leads to
a question for the owner. Only HMACs are stored: a copied database names no hardware.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from cloud.store.schema import device, fingerprint_component
from protocol.codes import code_mac
from protocol.messages import DeviceInfo, HardwareFingerprint

WEIGHTS: Mapping[str, float] = {"tpm": 1.0, "cpu": 0.5, "eth": 0.25, "board": 0.1, "disk": 0.05}
"""How much an equal part says. A board's model is shared by thousands, a processor's serial by none."""
SAME_MACHINE = 0.6
"""From this score on it is likely the same machine with another card."""

Parts = frozenset[tuple[str, str]]
_ADDRESS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LOCAL_OR_GROUP = 0b11


@dataclass(frozen=True)
class Match:
    """A station that runs on what may be the same machine."""

    station: Row[Any]
    score: float


def parts(pepper: bytes, hardware: Mapping[str, Any]) -> Parts:
    """The keyed hashes of a claim's `hardware`."""
    seen = msgspec.convert(hardware.get("fingerprint") or {}, HardwareFingerprint)
    info = msgspec.convert(hardware["info"], DeviceInfo) if hardware.get("info") else None
    serial = seen.cpu_id or str(hardware.get("hardware_id", "")).partition("CPU_")[2]
    found = [
        ("tpm", seen.tpm_attestation or seen.tmp_attestation),
        ("cpu", serial.lower().lstrip("0")),
        ("board", f"{info.model}|{info.hardware_revision or ''}" if info and info.model != "unknown" else ""),
        ("disk", seen.disk_uuid),
        *(("eth", address) for address in map(str.lower, seen.mac_addresses) if _permanent(address)),
    ]
    return frozenset((kind, code_mac(pepper, "fingerprint", kind, text)) for kind, text in found if text)


def _permanent(address: str) -> bool:
    """An address that the maker gave to one interface (IEEE 802 §8.4); others change or are shared."""
    return bool(_ADDRESS.fullmatch(address)) and not int(address[:2], 16) & _LOCAL_OR_GROUP


def score(shared: Iterable[str]) -> float:
    """From 0 to 1 by the kinds that are equal; each kind counts once."""
    return min(1.0, round(sum(WEIGHTS[kind] for kind in set(shared)), 2))


def keep(connection: Connection, device_id: str, known: Parts) -> None:
    """Replaces what is stored of a station's machine."""
    connection.execute(delete(fingerprint_component).where(fingerprint_component.c.device_id == device_id))
    if known:
        rows = [{"device_id": device_id, "kind": kind, "mac": mac} for kind, mac in sorted(known)]
        connection.execute(insert(fingerprint_component), rows)


def matches(connection: Connection, known: Parts) -> list[Match]:
    """The stations with an owner that are at least likely to be on this machine, the likeliest first."""
    if not known:
        return []
    columns = fingerprint_component.c
    query = select(columns.device_id, columns.kind).where(
        tuple_(columns.kind, columns.mac).in_(sorted(known)), columns.kind != "board"
    )
    shared: dict[str, set[str]] = {}
    for row in connection.execute(query):
        shared.setdefault(row.device_id, set()).add(row.kind)
    likely = [one for one, kinds in shared.items() if score(kinds | {"board"}) >= SAME_MACHINE]
    return _scored(connection, known, likely)


def _scored(connection: Connection, known: Parts, device_ids: list[str]) -> list[Match]:
    """The model is compared last: asking for it first would read a row of every station of that model."""
    found = []
    for device_id in device_ids:
        stored = parts_of(connection, device_id)
        reached = score(kind for kind, _ in stored & known)
        row = connection.execute(
            select(device).where(device.c.id == device_id, device.c.status != "released")
        ).first()
        if row is not None and reached >= SAME_MACHINE:
            found.append(Match(row, reached))
    return sorted(found, key=lambda match: (-match.score, -match.station.created))


def parts_of(connection: Connection, device_id: str) -> Parts:
    """What is stored of a station's machine."""
    columns = fingerprint_component.c
    rows = connection.execute(select(columns.kind, columns.mac).where(columns.device_id == device_id))
    return frozenset((row.kind, row.mac) for row in rows)


def adopt(connection: Connection, pepper: bytes) -> int:
    """Turns what older versions stored in clear into hashes; how many stations there were."""
    old = connection.execute(select(device).where(device.c.fingerprint.is_not(None)).limit(500)).all()
    for row in old:
        if row.status != "released":
            clear = {"hardware_id": row.hardware_id, "fingerprint": row.fingerprint, "info": row.info}
            keep(connection, row.id, parts(pepper, clear))
        connection.execute(update(device).where(device.c.id == row.id).values(fingerprint=None))
    return len(old)
