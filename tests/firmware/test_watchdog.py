"""The watchdog on a real datagram socket, in the place of systemd's."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.fakes import FakeClock, FakeWatchdog
from firmware.watchdog import NoWatchdog, SystemdWatchdog, keep_alive, watchdog_from


class Manager:
    """A service manager that hears what it is sent."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def heard(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@pytest.fixture
def watchdog(manager: Manager) -> SystemdWatchdog:
    return SystemdWatchdog(manager.socket.getsockname())


def test_ready_is_said_with_its_status_in_one_message(watchdog: SystemdWatchdog, manager: Manager) -> None:
    watchdog.ready("Waiting for you")
    assert manager.heard() == "READY=1\nSTATUS=Waiting for you"


def test_ready_can_be_said_alone(watchdog: SystemdWatchdog, manager: Manager) -> None:
    watchdog.ready()
    assert manager.heard() == "READY=1"


def test_signs_of_life_status_and_stopping_are_heard_in_order(
    watchdog: SystemdWatchdog, manager: Manager
) -> None:
    watchdog.alive()
    watchdog.status("Running, 3 events waiting")
    watchdog.stopping()
    assert [manager.heard() for _ in range(3)] == [
        "WATCHDOG=1",
        "STATUS=Running, 3 events waiting",
        "STOPPING=1",
    ]


def test_a_status_with_line_breaks_cannot_say_anything_else(
    watchdog: SystemdWatchdog, manager: Manager
) -> None:
    watchdog.status("network \nSTOPPING=1\r\n„Büro“")
    assert manager.heard() == "STATUS=network STOPPING=1 „Büro“"


def test_an_abstract_socket_is_reached() -> None:
    name = f"meteor-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    with contextlib.closing(manager.socket):
        SystemdWatchdog(f"@{name}").alive()
        assert manager.heard() == "WATCHDOG=1"


def test_a_manager_that_went_away_is_reported_once_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    address = str(tmp_path / "notify")
    watchdog = SystemdWatchdog(address)
    for _ in range(5):
        watchdog.alive()
    assert len(caplog.records) == 1
    back = Manager(address)
    with contextlib.closing(back.socket):
        watchdog.alive()
        assert back.heard() == "WATCHDOG=1"
    watchdog.alive()
    assert len(caplog.records) == 2


def test_a_manager_that_does_not_read_never_blocks_us(watchdog: SystemdWatchdog, manager: Manager) -> None:
    # far more than any queue of datagrams holds; a blocking send would end in pytest's time limit
    for _ in range(5_000):
        watchdog.alive()
    assert manager.heard() == "WATCHDOG=1"


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({"WATCHDOG_USEC": ""}, None),
    ],
)
def test_signs_of_life_are_given_twice_as_often_as_asked(
    environment: dict[str, str], interval: float | None
) -> None:
    assert watchdog_from({"NOTIFY_SOCKET": "/run/notify", **environment}, pid=42).interval == interval


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nobody_is_told(environment: dict[str, str]) -> None:
    watchdog = watchdog_from({**environment, "WATCHDOG_USEC": "30000000"})
    assert isinstance(watchdog, NoWatchdog)
    assert watchdog.interval is None
    watchdog.ready("x")
    watchdog.alive()
    watchdog.status("x")
    watchdog.stopping()


async def test_signs_of_life_stop_while_the_program_is_not_healthy_and_go_on_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, watchdog, healthy = FakeClock(), FakeWatchdog(interval=15.0), [True]
    task = asyncio.create_task(keep_alive(watchdog, lambda: healthy[0], clock.sleep))
    await clock.advance(31.0)
    assert watchdog.history == ["alive"] * 3
    healthy[0] = False
    await clock.advance(60.0)
    assert watchdog.history == ["alive"] * 3
    assert len(caplog.records) == 1
    healthy[0] = True
    await clock.advance(15.0)
    assert watchdog.history == ["alive"] * 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_where_nobody_waits_for_signs_of_life_the_task_ends() -> None:
    watchdog = FakeWatchdog(interval=None)
    await keep_alive(watchdog, lambda: True, asyncio.sleep)
    assert watchdog.history == []
