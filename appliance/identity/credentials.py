"""What the cloud gave this station when it was claimed. One file, 0600, written whole or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.files import private_folder, remove_durably, write_atomically
from appliance.identity.renewal import finish_exchange
from protocol.certificate_messages import RenewAnswer
from protocol.messages import ApiEndpoints, ClaimComplete, ConfigKey
from protocol.timestamp import public_keys

log = logging.getLogger(__name__)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """The claim's outcome, as far as the station needs it later. Its representation shows no secret."""

    device_id: str
    name: str
    epoch: int
    token: str
    certificate: str
    ca_certificate: str
    endpoints: ApiEndpoints
    config_keys: list[ConfigKey]
    cloud_url: str
    renew_after: str
    certificate_not_after: str
    claimed_at: str
    short_id: str = ""
    """The station's name for people; empty in files of versions that never exchanged keys."""
    time_keys: list[ConfigKey] = []
    key_version: int = 0
    """Of the set of keys that was followed last."""

    def __repr__(self) -> str:
        return f"Credentials({self.device_id})"

    def pinned_keys(self) -> dict[str, Ed25519PublicKey]:
        """The keys that may sign configurations."""
        return public_keys(self.config_keys)

    def path(self, endpoint: str) -> str:
        """The path of one of `endpoints`. Requests go to the configured cloud, whatever the answer named."""
        return urlsplit(endpoint).path


def from_claim(answer: ClaimComplete, cloud_url: str) -> Credentials:
    """Credentials from the cloud's answer."""
    return Credentials(
        device_id=answer.device_id,
        name=answer.device_name,
        epoch=answer.epoch,
        token=answer.device_token,
        certificate=answer.device_certificate,
        ca_certificate=answer.ca_certificate,
        endpoints=answer.api_endpoints,
        config_keys=answer.config_keys,
        cloud_url=cloud_url,
        renew_after=answer.renew_after,
        certificate_not_after=answer.certificate_not_after,
        claimed_at=answer.server_time,
        short_id=answer.short_id,
        time_keys=answer.time_keys,
    )


def renewed(before: Credentials, answer: RenewAnswer, short_id: str) -> Credentials:
    """The same ownership with the certificate of the next key."""
    return msgspec.structs.replace(
        before,
        epoch=answer.epoch,
        certificate=answer.device_certificate,
        ca_certificate=answer.ca_certificate,
        renew_after=answer.renew_after,
        certificate_not_after=answer.certificate_not_after,
        short_id=short_id,
    )


def read_credentials(path: Path) -> Credentials | None:
    """The credentials in a file, None without one. Raises `ValueError` for a damaged file, `OSError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except FileNotFoundError:
        return None


class CredentialsFile:
    """Credentials on disk and in memory; `current` is None while the station is unclaimed."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / "credentials.json"
        self._changing = threading.RLock()
        finish_exchange(folder)
        self.current = self._read()

    def _read(self) -> Credentials | None:
        try:
            return read_credentials(self._path)
        except ValueError as error:
            # The key still proves who the station is, and the cloud gives the same answer to the same key.
            damaged = self._path.with_suffix(".damaged")
            self._path.replace(damaged)
            log.error("credentials are damaged (%s); moved to %s; the claim is repeated", error, damaged)
            return None

    def keep(self, credentials: Credentials) -> None:
        """Makes them durable, then current. Blocks for two fsyncs."""
        with self._changing:
            write_atomically(self._path, msgspec.json.encode(credentials))
            self.current = credentials

    def exchange(self, install: Callable[[], None]) -> None:
        """Lets `install` put another file into this one's place, while nobody else writes it."""
        with self._changing:
            install()
            self.current = self._read()

    def forget(self) -> None:
        """The station belongs to nobody. Blocks for an fsync."""
        remove_durably(self._path)
        self.current = None

    def rename(self, name: str) -> None:
        """The owner's new name for the station. Blocks for two fsyncs."""
        self.update(lambda kept: msgspec.structs.replace(kept, name=name))

    def update(self, change: Callable[[Credentials], Credentials]) -> None:
        """Changes a part, if there are any. Blocks for two fsyncs."""
        with self._changing:
            if self.current is not None:
                self.keep(change(self.current))
