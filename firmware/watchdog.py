"""The service manager's view of us: ready, alive, status, stopping; the port and systemd's notify socket.

See sd_notify(3) and sd_watchdog_enabled(3); the protocol is one datagram of `NAME=value` lines.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

log = logging.getLogger(__name__)


class Watchdog(Protocol):
    """Whoever starts us, and restarts us when we hang."""

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life, or None if nobody waits for them."""

    def ready(self, status: str = "") -> None:
        """Say that the start is over and the program serves."""

    def alive(self) -> None:
        """Give a sign of life."""

    def status(self, text: str) -> None:
        """Say in one line what the program does now."""

    def stopping(self) -> None:
        """Say that the program ends on purpose."""


class NoWatchdog:
    """For a program that was started by hand."""

    interval: float | None = None

    def ready(self, status: str = "") -> None:
        """Do nothing."""

    def alive(self) -> None:
        """Do nothing."""

    def status(self, text: str) -> None:
        """Do nothing."""

    def stopping(self) -> None:
        """Do nothing."""


class SystemdWatchdog:
    """Speaks to systemd. It never blocks and never raises: a deaf service manager must not stop a station."""

    def __init__(self, address: str, interval: float | None = None) -> None:
        """`address` is the socket's path, or with a leading `@` its abstract name."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._interval = interval
        self._failing = False

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life, or None if nobody waits for them."""
        return self._interval

    def ready(self, status: str = "") -> None:
        """Say that the start is over, with a first status if there is one."""
        self._send("READY=1", *([_status(status)] if status else []))

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line what the program does now."""
        self._send(_status(text))

    def stopping(self) -> None:
        """Say that the program ends on purpose."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        try:
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notify:
                notify.setblocking(False)
                notify.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failing:
                log.warning("The service manager does not listen: %s", error)
            self._failing = True
        else:
            self._failing = False


def watchdog_from(environment: Mapping[str, str], pid: int | None = None) -> Watchdog:
    """The watchdog that the environment asks for; `NoWatchdog` without a notify socket.

    The interval is half of what systemd allows, as sd_watchdog_enabled(3) advises. `WATCHDOG_PID` that names
    another process means that the pings are that one's duty.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return NoWatchdog()
    return SystemdWatchdog(address, _interval(environment, os.getpid() if pid is None else pid))


async def keep_alive(
    watchdog: Watchdog, healthy: Callable[[], bool], sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Give signs of life until cancelled, but only while `healthy`; return at once if nobody waits."""
    if watchdog.interval is None:
        return
    silent = False
    while True:
        if healthy():
            watchdog.alive()
            silent = False
        elif not silent:
            log.error("The program is not healthy; the service manager gets no sign of life until it is.")
            silent = True
        await sleep(watchdog.interval)


def _status(text: str) -> str:
    """One line: a line break would begin another variable."""
    return "STATUS=" + " ".join(text.split())


def _interval(environment: Mapping[str, str], pid: int) -> float | None:
    allowed = environment.get("WATCHDOG_USEC", "")
    if not allowed.isascii() or not allowed.isdigit() or int(allowed) == 0:
        return None
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(allowed) / 1_000_000 / 2
