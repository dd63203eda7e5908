"""Releases with planted bugs, as real programs in folders: each is taken back, with its reason."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from firmware.update import agent as agents
from firmware.update.backends.folders import Folders
from firmware.update.backends.services import ProcessService, SystemdService
from firmware.update.sight import Sight
from tests.firmware.update.world import NEW, OLD, World

PROGRAM = """#!{python}
import json, os, socket, sqlite3, sys, time
plan = {plan!r}
if plan == "crash":
    sys.exit("a planted bug")
database = sqlite3.connect(os.environ["STATION_DATABASE"])
database.execute("CREATE TABLE IF NOT EXISTS event (name TEXT)")
migrated = True
if plan == "broken migration":
    try:
        with database:
            database.execute("ALTER TABLE event ADD COLUMN name TEXT")
    except sqlite3.OperationalError:
        migrated = False
path = os.environ["STATION_SOCKET"]
if os.path.exists(path):
    os.unlink(path)
door = socket.socket(socket.AF_UNIX)
door.bind(path)
door.listen(100)
turns = 0
while plan == "hang":
    time.sleep(3600)
while True:
    caller, _ = door.accept()
    turns += 1
    if plan == "standstill":
        turns = 1
    try:
        with database:
            database.execute("INSERT INTO event VALUES ('probe')")
        stored = plan != "read only"
    except sqlite3.Error:
        stored = False
    network = plan != "no network"
    seen = dict(ticks=turns, control=True, portal=plan != "no pages", buffer=stored, migrated=migrated,
                network=network, cloud=network and plan != "no cloud", clock=True, free=1 << 40)
    with caller:
        try:
            caller.sendall(json.dumps(seen).encode())
        except OSError:
            pass
"""


class RealWorld(World):
    """The folders start real processes; only the clock is played."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.address = str(self.folder / "s")
        self.database = self.folder / "database"
        environment = os.environ | {
            "STATION_SOCKET": self.address,
            "STATION_DATABASE": str(self.database),
        }
        folders = Folders(self.folder, self._service(environment))
        self.backend = folders  # type: ignore[assignment]
        (folders.current / "run").write_text(program("good"))
        (folders.current / "run").chmod(0o755)
        folders.restart()
        self.sees = lambda _running: self.look()
        self.time.pause = self.pause  # type: ignore[method-assign]
        self.pause(0)

    def _service(self, environment: dict[str, str]) -> ProcessService:
        current = self.folder / "usr/lib/meteor-appliance/current"
        self.service = ProcessService(current, self.folder / "pid", environment)
        return self.service

    def release(self, plan: str) -> None:
        """Version 1.1.0 with a bug."""
        self.maker.release(self.source, NEW, {"run": program(plan).encode()})

    def pause(self, seconds: float) -> None:
        """Played time goes on once the program has come up or died."""
        self.time.now += seconds
        while self.service.pid() is not None:
            with socket.socket(socket.AF_UNIX) as caller:
                try:
                    caller.connect(self.address)
                except OSError:
                    time.sleep(0.01)
                else:
                    return

    def look(self) -> Sight:
        """Asks the program, as the station's doors are asked."""
        alive = self.service.pid() is not None
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(0.3)
                caller.connect(self.address)
                said = json.loads(b"".join(iter(lambda: caller.recv(4096), b"")))
        except (OSError, ValueError):
            return Sight(alive=alive)
        return msgspec.convert({"alive": alive} | said, Sight)


def program(plan: str) -> str:
    return PROGRAM.format(python=sys.executable, plan=plan)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealWorld]:
    monkeypatch.setattr(agents, "PROBATION_S", 60.0)
    world = RealWorld(tmp_path)
    yield world
    world.service.stop()


def test_a_good_release_runs_as_a_process_from_its_own_folder(made: RealWorld) -> None:
    assert made.backend.running() == OLD
    made.release("good")
    made.live()
    assert made.results == [(NEW, "installed", "")]
    pid = made.service.pid()
    assert Path(f"/proc/{pid}/cwd").readlink().name == NEW == made.backend.running()


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("crash", "UPD-017"),
        ("hang", "UPD-018"),
        ("standstill", "UPD-018"),
        ("read only", "UPD-019"),
        ("broken migration", "UPD-020"),
        ("no pages", "UPD-022"),
        ("no network", "UPD-023"),
        ("no cloud", "UPD-024"),
    ],
)
def test_a_release_with_a_planted_bug_is_taken_back_with_its_reason(
    made: RealWorld, plan: str, expected: str
) -> None:
    made.release(plan)
    made.live()
    assert made.results == [(NEW, "taken_back", expected)]
    made.pause(0)
    assert made.backend.running() == made.backend.pointed() == OLD
    assert made.look().buffer, "the former version stores events again"
    with sqlite3.connect(made.database) as database:
        assert database.execute("SELECT count(*) FROM event").fetchone()[0] > 0


def test_a_release_that_cannot_be_started_is_taken_back(made: RealWorld) -> None:
    made.maker.release(made.source, NEW, {"run": b"#!/nowhere/python\n"})
    made.live()
    assert made.results == [(NEW, "taken_back", "UPD-031")]
    assert made.backend.running() == OLD


def test_a_process_that_has_gone_is_not_taken_for_another_with_its_number(made: RealWorld) -> None:
    named = (made.folder / "pid").read_text()
    (made.folder / "pid").write_text(f"{os.getpid()} 1")
    assert made.service.pid() is None
    assert made.backend.running() is None
    (made.folder / "pid").write_text(named)
    assert made.backend.running() == OLD


def test_systemd_is_asked_for_the_process_and_the_restart(tmp_path: Path) -> None:
    tool = tmp_path / "systemctl"
    tool.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$1" = show ] && echo {os.getpid()}\nexit 0\n'
    )
    tool.chmod(0o755)
    service = SystemdService("meteor.service", str(tool))
    assert service.pid() == os.getpid()
    service.restart()
    assert (tmp_path / "asked").read_text().splitlines() == [
        "show --property=MainPID --value meteor.service",
        "reset-failed meteor.service",
        "restart --no-block meteor.service",
    ]
    tool.write_text("#!/bin/sh\necho 'no such unit' >&2\nexit 5\n")
    assert service.pid() is None
    with pytest.raises(OSError, match="no such unit"):
        service.restart()
