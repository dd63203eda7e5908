"""Keeps out the networks that the operator does not want, and notes that in the security log.

A refusal is noted once an hour for each network and some times an hour for all together, so that nobody can
fill the log by knocking.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy import Connection

from cloud.errors import StoreError
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.security.networks import NetworkRules
from cloud.store.engine import Database
from protocol.errors import Refusal
from protocol.limits import Rate

log = logging.getLogger(__name__)

_NOTED_EACH, _NOTED_ALL = Rate(1, 3600, 1), Rate(60, 3600, 60)


class Doorkeeper:
    """Asks the rules, and notes whom they refuse."""

    def __init__(
        self, rules: NetworkRules, database: Database, limits: Limits, unix_ms: Callable[[], int]
    ) -> None:
        self._rules, self._db, self._limits, self._unix_ms = rules, database, limits, unix_ms

    async def require(self, address: str, network: str, path: str) -> None:
        """Raises `Refusal` 403. `network` is what the caller is counted by."""
        if self._rules.lets_in(address, path):
            return
        await self._note(address, network)
        raise Refusal(None, "network", "There is nothing here for you.", status=403)

    async def _note(self, address: str, network: str) -> None:
        now = self._unix_ms()

        def write(connection: Connection) -> None:
            audit.record(connection, now, "anonymous", "network_refused", network, address=address[:64])

        try:
            await self._limits.take("audit", f"refused {network}", _NOTED_EACH)
            await self._limits.take("audit", "refused networks", _NOTED_ALL)
            await self._db.write(write)
        except Refusal:
            return  # it stands in the log already
        except StoreError as error:
            log.error("a refused network could not be noted: %s", error)
