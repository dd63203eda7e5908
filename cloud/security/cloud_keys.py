"""The keys that stations pin at this cloud, and what is signed by them beside configurations."""

from __future__ import annotations

import msgspec

from cloud.fleet.configuration import named_keys, public_key
from cloud.security.vault import Secrets
from protocol.envelope import Envelope, seal_by_all
from protocol.messages import ConfigKey
from protocol.timestamp import KEYS_TYPE, KeysAnswer, KeySet, SignedTime, sign_time

RADIUS_MS = 1000
"""By how much a server that follows a time server may be wrong, with a margin."""


class CloudKeys:
    """Present and previous keys. The set is signed once, at the start."""

    def __init__(self, secrets: Secrets) -> None:
        config = named_keys([secrets.config_key, *secrets.previous_config_keys])
        self._time = named_keys([secrets.time_key, *secrets.previous_time_keys])
        keys = KeySet(
            version=secrets.key_version,
            config_keys=[public_key(key) for key in config.values()],
            time_keys=self.time_keys,
        )
        self.envelope: Envelope = seal_by_all(msgspec.json.encode(keys), config, KEYS_TYPE)
        authority = secrets.authority
        self._vouchers = [authority.vouch(key.public_key(), key_id) for key_id, key in config.items()]
        self._way = authority.present_pem

    def answer(self, server_time: str) -> KeysAnswer:
        """The set with everything by which a station that knows the root's hash can check it."""
        return KeysAnswer(
            envelope=self.envelope,
            server_time=server_time,
            ca_certificate=self._way,
            vouchers=self._vouchers,
        )

    @property
    def time_keys(self) -> list[ConfigKey]:
        """The public keys that sign the time, the present one first."""
        return [public_key(key) for key in self._time.values()]

    def time(self, nonce: str, now_ms: int) -> SignedTime:
        """The time as an answer to this nonce, signed by each key that a station may have pinned."""
        return sign_time(now_ms, RADIUS_MS, nonce, self._time)
