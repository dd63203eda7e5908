"""What the cloud wishes of a station: versions that only go up, each signed for one station. No HTTP."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, func, insert, select, update

from cloud.security import audit
from cloud.store.schema import config
from protocol.clock import from_unix
from protocol.codes import base64url
from protocol.envelope import ConfigPayload, Envelope, seal_by_all
from protocol.errors import Refusal
from protocol.messages import ConfigKey

MAX_DESIRED_BYTES = 64 * 1024


@dataclass(frozen=True)
class Desired:
    """One version of a station's configuration."""

    version: int
    values: dict[str, Any]
    envelope: Envelope


class Configurations:
    """The versions of all stations, each signed by every key. `heartbeat_interval` (seconds) is the first's.

    `previous` are keys that gave way to `key` and that some stations may still know alone.
    """

    def __init__(
        self,
        key: Ed25519PrivateKey,
        heartbeat_interval: int,
        previous: Sequence[Ed25519PrivateKey] = (),
    ) -> None:
        self._interval = heartbeat_interval
        self.signing = named_keys([key, *previous])

    @property
    def keys(self) -> list[ConfigKey]:
        """The public keys that a station pins, the present one first."""
        return [public_key(key) for key in self.signing.values()]

    def sign_again(self, connection: Connection) -> int:
        """Signs configurations in force that the present key has not signed; how many there were.

        The signed bytes stay as they are, so that it is the same version to a station that has it.
        """
        latest = select(config.c.device_id, func.max(config.c.version).label("version"))
        newest = latest.group_by(config.c.device_id).subquery()
        both = (config.c.device_id == newest.c.device_id) & (config.c.version == newest.c.version)
        present, changed = next(iter(self.signing)), 0
        for row in connection.execute(select(config).join(newest, both)).all():
            envelope = msgspec.convert(row.envelope, Envelope)
            if present in {each.keyid for each in envelope.signatures}:
                continue
            again = seal_by_all(base64.b64decode(envelope.payload), self.signing)
            which = (config.c.device_id == row.device_id) & (config.c.version == row.version)
            connection.execute(update(config).where(which).values(envelope=msgspec.to_builtins(again)))
            changed += 1
        return changed

    def first(self, connection: Connection, device_id: str, name: str, location: Any, now_ms: int) -> None:
        """Writes version 1, in the transaction that makes the station."""
        desired = {
            "device": {"device_id": device_id, "name": name, "location": location},
            "monitoring": {"heartbeat_interval_seconds": self._interval},
        }
        self._store(connection, device_id, epoch=1, version=1, desired=desired, author="system", now=now_ms)

    def patch(
        self,
        connection: Connection,
        device_id: str,
        epoch: int,
        patch: Mapping[str, Any],
        author: str,
        now_ms: int,
    ) -> Desired:
        """A new version with a merge patch (RFC 7396) applied; the one in force when that changes nothing.

        Runs in the transaction of a caller who has checked the owner. Raises `Refusal` REG-007.
        """
        before = current(connection, device_id)
        desired = merged(before.values, patch)
        if desired == before.values:
            return before
        if len(msgspec.json.encode(desired)) > MAX_DESIRED_BYTES:
            raise Refusal("REG-007", "too_large", "A configuration may have 64 KiB.", field="$")
        audit.record(connection, now_ms, author, "config_changed", device_id, version=before.version + 1)
        return self._store(
            connection, device_id, epoch, before.version + 1, desired, author=author[:40], now=now_ms
        )

    def for_epoch(self, connection: Connection, device_id: str, epoch: int, now_ms: int) -> None:
        """Signs the configuration in force anew for a later ownership; nothing when it is signed for it."""
        desired = current(connection, device_id)
        payload = msgspec.json.decode(base64.b64decode(desired.envelope.payload), type=ConfigPayload)
        if payload.epoch < epoch:
            self._store(connection, device_id, epoch, desired.version + 1, desired.values, "system", now_ms)

    def _store(
        self,
        connection: Connection,
        device_id: str,
        epoch: int,
        version: int,
        desired: dict[str, Any],
        author: str,
        now: int,
    ) -> Desired:
        payload = ConfigPayload(
            device_id=device_id,
            epoch=epoch,
            version=version,
            issued_at=from_unix(now / 1000),
            desired=msgspec.Raw(msgspec.json.encode(desired)),
        )
        envelope = seal_by_all(msgspec.json.encode(payload), self.signing)
        connection.execute(
            insert(config).values(
                device_id=device_id,
                version=version,
                desired=desired,
                envelope=msgspec.to_builtins(envelope),
                created=now,
                author=author,
            )
        )
        return Desired(version, desired, envelope)


def public_key(key: Ed25519PrivateKey) -> ConfigKey:
    """The public half as a station pins it."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return ConfigKey(kid=base64url(raw)[:16], x=base64url(raw))


def named_keys(keys: Sequence[Ed25519PrivateKey]) -> dict[str, Ed25519PrivateKey]:
    """Keys by their ids, in the same order."""
    return {public_key(key).kid: key for key in keys}


def current(connection: Connection, device_id: str) -> Desired:
    """The newest version. Every station has one since it was claimed."""
    row = connection.execute(
        select(config).where(config.c.device_id == device_id).order_by(config.c.version.desc()).limit(1)
    ).one()
    return Desired(row.version, row.desired, msgspec.convert(row.envelope, Envelope))


def merged(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7396): null removes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
