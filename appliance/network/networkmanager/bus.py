"""One connection to the system bus: calls that always end, signals, and errors that tell no secret.

What the calls mean is not known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from dbus_fast import BusType, Message, MessageType, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from appliance.network.networkmanager.names import DBUS, DBUS_PATH, SERVICE

log = logging.getLogger(__name__)

CALL_S = 25.0
"""D-Bus's own patience with a service (libdbus: 25 s)."""

NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"

_GONE = {
    NO_OWNER,
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.Disconnected",
}
_REFUSED = (".PermissionDenied", ".AccessDenied")
"""NetworkManager has one such error for each of its interfaces; the bus has one of its own."""


class CallFailed(Exception):
    """A call was answered with an error: `name` is D-Bus's, the text is the service's and holds no secret."""

    def __init__(self, member: str, name: str, detail: str = "") -> None:
        super().__init__(f"{member}: {name}" + (f" ({detail})" if detail else ""))
        self.member = member
        self.name = name


class ServiceGone(CallFailed):
    """Nobody answered: the service or the bus is not there, or too slow."""


class AccessRefused(CallFailed):
    """The service answered that this user may not."""


class Bus:
    """A connection that can be made again. Use it from one event loop."""

    def __init__(self, address: str | None = None) -> None:
        """`address` is D-Bus's; None for the system bus."""
        self._address = address
        self._bus: MessageBus | None = None
        self._listeners: list[Callable[[Message], None]] = []
        self._when_lost: Callable[[], None] = lambda: None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether the bus can be used."""
        return self._bus is not None and self._bus.connected

    async def connect(self) -> None:
        """Raises `ServiceGone` when there is no bus.

        Debian's dbus-fast (2.44) connects and says hello in the loop; on a Unix socket that waits for nobody.
        """
        try:
            async with asyncio.timeout(CALL_S):
                bus = await MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM).connect()
        except (OSError, AuthError, InvalidAddressError, EOFError, TimeoutError) as error:
            raise ServiceGone("connect", type(error).__name__, "no system bus") from None
        bus.add_message_handler(self._take)
        self._bus = bus
        self._watcher = asyncio.create_task(self._wait_lost(bus), name="bus")

    def disconnect(self) -> None:
        """Closes the connection, if there is one."""
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()

    def when_lost(self, action: Callable[[], None]) -> None:
        """Calls `action` when the bus has closed the connection."""
        self._when_lost = action

    async def _wait_lost(self, bus: MessageBus) -> None:
        """Ends with the connection. It must not be cancelled: the library would lose its own future."""
        try:
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError) as error:
            log.debug("the bus is gone: %s", type(error).__name__)
        if bus is self._bus:
            self._when_lost()

    def listen(self, listener: Callable[[Message], None]) -> None:
        """Calls `listener` with every signal, in the order in which they come."""
        self._listeners.append(listener)

    def _take(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            for listener in self._listeners:
                listener(message)

    async def match(self, **rule: str) -> None:
        """Asks the bus for the signals of a match rule. Raises `CallFailed`."""
        text = ",".join(f"{key}='{value}'" for key, value in {"type": "signal", **rule}.items())
        await self.call(DBUS_PATH, DBUS, "AddMatch", "s", [text], destination=DBUS)

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        destination: str = SERVICE,
        timeout: float = CALL_S,
        secret: bool = False,
    ) -> list[Any]:
        """The answer with all variants unpacked.

        `secret` drops the text of an error, so that nothing of the body can come back in it. Raises
        `AccessRefused`, `ServiceGone`, `CallFailed`.
        """
        if self._bus is None or not self.connected:
            raise ServiceGone(member, "not connected")
        asked = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(timeout):
                answer = await self._bus.call(asked)
        except TimeoutError:
            raise ServiceGone(member, "no answer in time") from None
        except (OSError, EOFError) as error:
            raise ServiceGone(member, type(error).__name__) from None
        if answer is None:
            raise ServiceGone(member, "no answer")
        if answer.message_type is MessageType.ERROR:
            raise _failure(member, answer, secret=secret)
        unpacked: list[Any] = unpack_variants(answer.body)
        return unpacked


def _failure(member: str, answer: Message, *, secret: bool) -> CallFailed:
    name = answer.error_name or "error"
    detail = "" if secret or not answer.body else str(answer.body[0])
    if name.endswith(_REFUSED):
        return AccessRefused(member, name, detail)
    return (ServiceGone if name in _GONE else CallFailed)(member, name, detail)
