"""TCP connections that end soon when nobody is left at the other end; what goes through them is not here."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection

if TYPE_CHECKING:
    from aiohttp.tracing import Trace

UNANSWERED_S = 30
"""As long as a request may take that carries no file."""
PROBE_S = 10

OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, UNANSWERED_S // PROBE_S),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_S * 1000),
)
"""tcp(7). Without them a file on its way over a dead connection is waited for as long as over a slow one."""


class Connector(aiohttp.TCPConnector):
    """The operating system gives a connection up when no packet of ours is acknowledged for `UNANSWERED_S`.

    A slow connection is not touched: its packets are acknowledged.
    """

    def __init__(self, **options: Any) -> None:
        # Names are asked of the operating system, which reads a changed resolv.conf and names its faults.
        super().__init__(resolver=aiohttp.ThreadedResolver(), **options)

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for one request. Raises `aiohttp.ClientConnectorError`."""
        connection = await super().connect(req, traces, timeout)
        if connection.transport is not None:
            tcp = connection.transport.get_extra_info("socket")
            for option in OPTIONS:
                tcp.setsockopt(*option)
        return connection
