"""The cloud's keys that this station pinned, and how it follows when they change. Checks: `protocol`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from appliance.files import to_the_end
from appliance.identity.credentials import CredentialsFile
from appliance.uplink.client import CloudClient, Refused, Unreachable
from protocol.envelope import EnvelopeRefused
from protocol.timestamp import KeysAnswer, open_keys

log = logging.getLogger(__name__)

DAILY_S = 86_400.0
RETRY_S = 3600.0


class KeyFollower:
    """Asks once a day for the set of keys; what no pinned key signed changes nothing."""

    def __init__(
        self,
        client: CloudClient,
        credentials: CredentialsFile,
        wait_online: Callable[[], Awaitable[object]],
    ) -> None:
        self._client, self._credentials, self._wait_online = client, credentials, wait_online

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait_online()
            await asyncio.sleep(DAILY_S if await self.look() else RETRY_S)

    async def look(self) -> bool:
        """Whether the set was seen, new or not."""
        current = self._credentials.current
        if current is None:
            return False
        try:
            answer = (await self._client.send("GET", "/v1/keys")).read(KeysAnswer)
            found = open_keys(answer.envelope, current.pinned_keys(), current.key_version)
        except (Unreachable, Refused) as error:
            log.info("the cloud's keys cannot be asked: %s", error)
            return False
        except EnvelopeRefused as refusal:
            log.warning("the cloud's keys are refused, those that are pinned stay: %s", refusal)
            return True
        if found is not None:
            await to_the_end(
                self._credentials.update,
                lambda kept: msgspec.structs.replace(
                    kept,
                    config_keys=found.config_keys,
                    time_keys=found.time_keys,
                    key_version=found.version,
                ),
            )
            log.info("the cloud's keys are pinned anew, version %d", found.version)
        return True
