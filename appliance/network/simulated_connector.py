"""What stands between the station's HTTP client and the real network in a simulation; knows no radio.

The connections are real TCP; the gate decides whether they may be opened, how slow they are, and cuts them.
"""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection

from appliance.network.connector import Connector

if TYPE_CHECKING:
    from aiohttp.tracing import Trace


@dataclass
class Gate:
    """Open or shut for all connectors of one radio. `delay_s` is added to every request, in seconds."""

    open: bool = False
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        self.cuts = 0
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    def shut(self) -> None:
        """Refuses new connections and cuts the ones that are open."""
        self.open = False
        self.cut()

    def cut(self) -> None:
        """Breaks every open connection, as a lost link or a new address does."""
        self.cuts += 1
        for transport in list(self._transports):
            transport.abort()
        self._transports.clear()

    def watch(self, connection: Connection) -> None:
        """Remembers a connection for the next cut."""
        if connection.transport is not None:
            self._transports.add(connection.transport)


class SimulatedConnector(Connector):
    """A TCP connector behind a gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for one request. Raises `aiohttp.ClientConnectorError` while the gate is shut."""
        cuts = self._gate.cuts
        if self._gate.open and self._gate.delay_s:
            await asyncio.sleep(self._gate.delay_s)
        self._refuse_unless_open(req, cuts)
        connection = await super().connect(req, traces, timeout)
        if not self._is_open(cuts):
            connection.close()
        self._refuse_unless_open(req, cuts)
        self._gate.watch(connection)
        return connection

    def _is_open(self, cuts: int) -> bool:
        return self._gate.open and self._gate.cuts == cuts

    def _refuse_unless_open(self, req: ClientRequest, cuts: int) -> None:
        if not self._is_open(cuts):
            number = errno.ENETUNREACH
            raise aiohttp.ClientConnectorError(req.connection_key, OSError(number, os.strerror(number)))
