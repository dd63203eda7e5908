"""What the cloud wishes of a station: versions that only go up, each signed for one station. No HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select

from cloud.security import audit
from cloud.store.schema import config
from protocol.clock import from_unix
from protocol.codes import base64url
from protocol.envelope import ConfigPayload, Envelope, seal
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
    """The versions of all stations. `heartbeat_interval` (seconds) is the first version's."""

    def __init__(self, key: Ed25519PrivateKey, heartbeat_interval: int) -> None:
        self._key, self._interval = key, heartbeat_interval
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._public = ConfigKey(kid=base64url(raw)[:16], x=base64url(raw))

    @property
    def keys(self) -> list[ConfigKey]:
        """The public keys that a station pins."""
        return [self._public]

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
        envelope = seal(msgspec.json.encode(payload), self._public.kid, self._key)
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
