"""The last step of every claim: station, key, certificate and configuration in one transaction. No HTTP.

A station exists from here on and not before. What its answer says is read from the store each time, so that a
lost answer can be given again with the same certificate.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from cloud.fleet.configuration import Configurations, current
from cloud.registry import fingerprints, preauthorised, queue, records
from cloud.registry.certificates import Certificates, check_grace, in_force
from cloud.registry.keys import give_key, revoke_keys
from cloud.registry.tokens import DeviceTokens
from cloud.security import audit
from cloud.security.device_auth import Claimant
from cloud.settings import Settings
from cloud.store.schema import claim, device, device_key
from protocol.clock import from_unix
from protocol.codes import short_id, ulid
from protocol.errors import CLAIM_DENIED, Refusal
from protocol.messages import ApiEndpoints, ClaimComplete, ConfigKey


class Completion:
    """Makes stations out of proven claims."""

    def __init__(
        self,
        settings: Settings,
        certificates: Certificates,
        tokens: DeviceTokens,
        configurations: Configurations,
        time_keys: list[ConfigKey],
        pepper: bytes,
    ) -> None:
        self._base, self._pepper = settings.base, pepper
        self._certificates, self._tokens, self._configurations = certificates, tokens, configurations
        self._time_keys = time_keys

    def complete(
        self, connection: Connection, row: Row[Any], claimant: Claimant, now_ms: int
    ) -> ClaimComplete | Refusal:
        """Finishes an open claim that has an account and hardware. A refusal has closed the claim."""
        known = owner_of(connection, claimant.keyid)
        if known is None and row.replaces is not None and row.consent == "yes":
            device_id = self._replace(connection, row, claimant, now_ms)
            if device_id is None:
                records.expire(connection, row.id, CLAIM_DENIED, "REG-002")
                return records.over(CLAIM_DENIED)
        elif known is None:
            device_id = self._make(connection, row, claimant, now_ms)
        elif known.account_id == row.account_id and known.active:
            device_id = known.device_id
            self._note_machine(connection, device_id, row, now_ms)
        else:
            records.expire(connection, row.id, "already_registered", "REG-003")
            return Refusal("REG-003", "already_registered", "This station is registered already.")
        records.advance(
            connection, row.id, "success", device_id=device_id, keyid=claimant.keyid, completed=now_ms
        )
        audit.record(
            connection, now_ms, f"person:{row.account_id}", "claim_succeeded", device_id, claim=row.id
        )
        preauthorised.purge(connection, claimant.keyid)
        queue.put(connection, queue.REGISTERED, row.id, row.account_id, now_ms)
        return self.answer(connection, device_id, claimant, now_ms)

    def _make(self, connection: Connection, row: Row[Any], claimant: Claimant, now_ms: int) -> str:
        device_id, hardware = ulid("dev_", now_ms), row.hardware
        letters = short_id(claimant.keyid)
        name = row.name or f"Station {letters}"
        location = row.location or hardware.get("location")
        connection.execute(
            insert(device).values(
                id=device_id,
                account_id=row.account_id,
                epoch=1,
                hardware_id=hardware["hardware_id"],
                short_id=letters,
                name=name,
                location=location,
                info=hardware["info"],
                network=hardware["network"],
                status="active",
                created=now_ms,
            )
        )
        give_key(connection, device_id, claimant, now_ms)
        fingerprints.keep(connection, device_id, fingerprints.parts(self._pepper, hardware))
        self._certificates.certify(connection, device_id, claimant.keyid, claimant.key, now_ms)
        self._configurations.first(connection, device_id, name, location, now_ms)
        return device_id

    def _replace(self, connection: Connection, row: Row[Any], claimant: Claimant, now_ms: int) -> str | None:
        """The station goes on with another key; only now does the old one end. None when it is gone."""
        hers = (device.c.id == row.replaces) & (device.c.account_id == row.account_id)
        if connection.execute(select(device.c.id).where(hers, device.c.status == "active")).first() is None:
            return None
        hardware, device_id = row.hardware, str(row.replaces)
        told = {
            "hardware_id": hardware["hardware_id"],
            "info": hardware["info"],
            "network": hardware["network"],
        }
        fresh = {"boot_counter": -1, "heartbeat_seq": -1, "config_version_reported": 0, "clone_ms": None}
        connection.execute(
            update(device)
            .where(device.c.id == device_id)
            .values(**told, **fresh, fingerprint=None, short_id=short_id(claimant.keyid))
        )
        give_key(connection, device_id, claimant, now_ms)
        revoke_keys(connection, device_id, now_ms, keep=claimant.keyid)
        self._note_machine(connection, device_id, row, now_ms)
        self._certificates.certify(connection, device_id, claimant.keyid, claimant.key, now_ms)
        audit.record(
            connection, now_ms, f"person:{row.account_id}", "storage_replaced", device_id, key=claimant.keyid
        )
        return device_id

    def _note_machine(self, connection: Connection, device_id: str, row: Row[Any], now_ms: int) -> None:
        """Keeps the machine as it is now. Parts that are gone do no harm; the owner's log names them."""
        before = fingerprints.parts_of(connection, device_id)
        now = fingerprints.parts(self._pepper, row.hardware)
        if gone := sorted({kind for kind, _ in before - now}):
            reached = fingerprints.score(kind for kind, _ in before & now)
            actor = f"person:{row.account_id}"
            audit.record(
                connection, now_ms, actor, "hardware_changed", device_id, parts=gone, score=f"{reached:.2f}"
            )
        fingerprints.keep(connection, device_id, now)

    def answer(
        self, connection: Connection, device_id: str, claimant: Claimant, now_ms: int
    ) -> ClaimComplete:
        """What the station is told, now and after a lost answer. A certificate near its end is made anew."""
        leaf = in_force(connection, claimant.keyid)
        if leaf is None or leaf.not_after - now_ms < self._certificates.life / timedelta(milliseconds=3):
            check_grace(connection, claimant.keyid, now_ms)
            self._certificates.certify(connection, device_id, claimant.keyid, claimant.key, now_ms)
        made = self._certificates.of(connection, claimant.keyid)
        assert made is not None, "it was there, or has just been made"  # noqa: S101
        row = connection.execute(select(device).where(device.c.id == device_id)).one()
        last = select(claim.c.id).where(claim.c.device_id == device_id).order_by(claim.c.completed.desc())
        desired = current(connection, device_id)
        return ClaimComplete(
            claim_id=connection.execute(last.limit(1)).scalar_one(),
            device_id=device_id,
            device_name=row.name,
            device_token=self._tokens.issue(device_id, row.epoch, claimant.keyid, made.sha256, now_ms),
            device_certificate=made.chain,
            ca_certificate=made.root,
            api_endpoints=endpoints(self._base, device_id),
            initial_config=desired.values,
            config_envelope=desired.envelope,
            config_keys=self._configurations.keys,
            time_keys=self._time_keys,
            epoch=row.epoch,
            short_id=row.short_id,
            renew_after=made.renew_after,
            certificate_not_after=made.not_after,
            server_time=from_unix(now_ms / 1000),
        )


def owner_of(connection: Connection, keyid: str) -> Row[Any] | None:
    """(device_id, account_id, active) of the station that has this key; None when it was released."""
    active = (device_key.c.status == "active") & (device.c.status == "active")
    query = (
        select(device_key.c.device_id, device.c.account_id, active.label("active"))
        .join_from(device_key, device)
        .where(device_key.c.keyid == keyid, device.c.status != "released")
    )
    return connection.execute(query).first()


def endpoints(base: str, device_id: str) -> ApiEndpoints:
    """The addresses of one station."""
    own = f"{base}/v1/devices/{device_id}"
    return ApiEndpoints(
        events=f"{own}/events",
        telemetry=f"{own}/telemetry",
        config=f"{own}/config",
        heartbeat=f"{own}/heartbeat",
        commands=f"{own}/commands",
    )
