"""Signed configuration: checked, kept on disk, applied, and the reason kept when it cannot be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.configuration.schema import DeviceConfig
from appliance.files import private_folder, write_atomically
from appliance.identity.credentials import Credentials
from protocol.envelope import Envelope, EnvelopeRefused, open_config

log = logging.getLogger(__name__)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration in force, as it lies on disk. Versions count within one ownership only."""

    device_id: str = ""
    epoch: int = 0
    version: int = 0
    config: DeviceConfig = DeviceConfig()


class Configuration:
    """The configuration in force and the last refusal. Observers are told after it is durable."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / "config.json"
        self._observers: list[Callable[[DeviceConfig], None]] = []
        self.error: str | None = None
        self._applied = self._read()

    @property
    def version(self) -> int:
        """0 before the first configuration."""
        return self._applied.version

    @property
    def current(self) -> DeviceConfig:
        """The values in force."""
        return self._applied.config

    def observe(self, observer: Callable[[DeviceConfig], None]) -> None:
        """Calls `observer` now and at every change."""
        self._observers.append(observer)
        observer(self.current)

    def _read(self) -> Applied:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Applied)
        except FileNotFoundError:
            return Applied()
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.error(
                "%s is damaged (%s); the defaults apply until the cloud sends it again", self._path, error
            )
            return Applied()

    def apply(self, envelope: Envelope, credentials: Credentials) -> bool:
        """Checks and applies an envelope; True when a newer version is in force now.

        Refusals keep the last good configuration, and `error` (REG-007) is reported with the next heartbeat.
        """
        applied = self._version_for(credentials)
        try:
            payload = open_config(
                envelope,
                credentials.pinned_keys(),
                device_id=credentials.device_id,
                epoch=credentials.epoch,
                applied=applied,
            )
            config = msgspec.json.decode(bytes(payload.desired), type=DeviceConfig)
        except EnvelopeRefused as refusal:
            return self._refuse(f"REG-007 {refusal.reason}: {refusal}")
        except ValueError as error:  # a value out of its range, or a pinned key that is none
            return self._refuse(f"REG-007 invalid: {error}")
        if payload.version == applied:
            return False
        self._keep(
            Applied(device_id=payload.device_id, epoch=payload.epoch, version=payload.version, config=config)
        )
        return True

    def _version_for(self, credentials: Credentials) -> int:
        """The version in force; another ownership begins to count anew."""
        mine = (self._applied.device_id, self._applied.epoch) == (credentials.device_id, credentials.epoch)
        return self._applied.version if mine else 0

    def _refuse(self, reason: str) -> bool:
        log.warning("configuration refused, version %d stays: %s", self.version, reason)
        self.error = reason[:200]
        return False

    def _keep(self, applied: Applied) -> None:
        write_atomically(self._path, msgspec.json.encode(applied))
        self._applied = applied
        self.error = None
        log.info("configuration version %d applied", applied.version)
        for observer in self._observers:
            observer(applied.config)
