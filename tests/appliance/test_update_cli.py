"""`meteor-appliance update`, with versions in folders and a service manager that is a script."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance import cli
from appliance.commandline import update
from appliance.commandline.exits import Exit
from appliance.settings import load
from appliance.updates.build import held
from appliance.updates.shown import shown_update
from firmware.update import agent as agents
from firmware.update import probes
from firmware.update.backends.folders import PLACE
from firmware.update.book import Shelf, State
from firmware.update.jobs import Job, keep_job
from firmware.update.probes import alive
from firmware.update.reasons import because
from tests.firmware.update.maker import Maker

LIVES = {"run": b"#!/bin/sh\nexec sleep 600\n"}
DIES = {"run": b"#!/bin/sh\nexit 1\n"}

SYSTEMCTL = """#!/bin/sh
case "$1" in
show) cat {folder}/pid 2>/dev/null || echo 0 ;;
restart)
    [ -f {folder}/pid ] && kill "$(cat {folder}/pid)" 2>/dev/null
    cd "$(readlink -f {folder}/{place}/current)" || exit 1
    ./run >/dev/null 2>&1 </dev/null &
    echo $! > {folder}/pid ;;
esac
exit 0
"""


@dataclass
class Machine:
    """A person at the terminal of a station that is updated by folders."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    maker: Maker = field(default_factory=Maker)
    told: str = ""

    def __post_init__(self) -> None:
        old = self.folder / PLACE / "1.0.0"
        old.mkdir(parents=True)
        (old / "run").write_bytes(LIVES["run"])
        (old / "run").chmod(0o755)
        (old.parent / "current").symlink_to("1.0.0")
        (self.folder / "root.json").write_bytes(self.maker.root())
        (self.folder / "bin").mkdir()
        tool = self.folder / "bin/systemctl"
        tool.write_text(SYSTEMCTL.format(folder=self.folder, place=PLACE))
        tool.chmod(0o755)

    def run(self, *words: str, backend: str = "folders") -> tuple[Exit, Any]:
        """Exit code and JSON answer of `update`."""
        chosen = {
            "update.backend": backend,
            "update.root": self.folder,
            "update.source": self.folder / "published",
            "update.trust": self.folder / "root.json",
            "portal.port": "1",
        }
        settings = [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]
        code = cli.run(["--data-dir", str(self.folder / "data"), *settings, "update", *words, "--json"])
        out, self.told = self.capture.readouterr()
        return code, json.loads(out) if out else None

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.folder / "data/update")

    def publish(self, version: str, files: dict[str, bytes], where: str = "published") -> Path:
        return self.maker.release(self.folder / where, version, files)


@pytest.fixture
def machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    for name, value in (("PROBATION_S", 0.2), ("STABLE_S", 0.1), ("LOOK_EVERY_S", 0.05)):
        monkeypatch.setattr(agents, name, value)
    monkeypatch.setattr(alive, "PATIENCE_S", 0.5)
    probes.probes.cache_clear()
    made = Machine(tmp_path, capsys)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert os.system(f"{tmp_path}/bin/systemctl restart") == 0
    yield made
    probes.probes.cache_clear()
    with suppress(OSError, ValueError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_station_that_others_update_says_so(machine: Machine) -> None:
    code, told = machine.run("status", backend="none")
    assert (code, told["set_up"]) == (Exit.OK, False)
    code, _ = machine.run("install", backend="none")
    assert code is Exit.SETTINGS
    assert "update.backend" in machine.told


def test_check_install_status_history_and_rollback(machine: Machine) -> None:
    code, told = machine.run("check")
    assert (code, told["reason"]["code"]) == (Exit.OK, "UPD-001")
    machine.publish("1.1.0", LIVES)
    code, told = machine.run("check")
    assert (told["job"]["state"], told["job"]["version"], told["reason"]) == ("available", "1.1.0", None)

    code, told = machine.run("install")
    assert (code, told["job"]["result"]) == (Exit.OK, "installed")
    assert "100 %  1.1.0: The update was installed." in machine.told
    _, told = machine.run("status")
    assert (told["running"], told["next_start"], told["previous"]) == ("1.1.0", "1.1.0", "1.0.0")
    assert told["job"]["id"]

    code, told = machine.run("install")
    assert (code, told["reason"]["code"]) == (Exit.OK, "UPD-007")

    code, told = machine.run("rollback")
    assert (code, told["job"]["reason"]["code"]) == (Exit.OK, "UPD-029")
    assert machine.run("status")[1]["running"] == "1.0.0"
    _, told = machine.run("history")
    assert [each["result"] for each in told["history"]] == ["installed", "taken_back"]
    assert machine.run("rollback")[0] is Exit.REFUSED


def test_a_bad_release_ends_with_its_reason_and_the_former_version(machine: Machine) -> None:
    machine.publish("1.1.0", DIES)
    code, told = machine.run("install")
    assert (code, told["job"]["result"]) == (Exit.FAILED, "taken_back")
    assert told["job"]["reason"]["sentence"] == "The new version stopped by itself."
    assert machine.run("status")[1]["running"] == "1.0.0"


def test_a_stick_is_installed_by_the_same_way_and_a_strangers_stick_is_not(machine: Machine) -> None:
    Maker().release(machine.folder / "strange", "1.1.0", LIVES)
    code, told = machine.run("install", "--from", str(machine.folder / "strange"))
    assert (code, told["reason"]["code"]) == (Exit.REFUSED, "UPD-002")
    machine.publish("1.1.0", LIVES, "stick")
    code, told = machine.run("install", "--from", str(machine.folder / "stick"))
    assert (code, told["job"]["result"]) == (Exit.OK, "installed")


def test_work_goes_on_with_what_was_cut(machine: Machine) -> None:
    machine.publish("1.1.0", LIVES)
    machine.run("check")
    assert machine.shelf.book().state is State.AVAILABLE
    code, told = machine.run("work")
    assert (code, told["job"]["result"]) == (Exit.OK, "installed")


def test_who_comes_second_follows_the_one_who_works(machine: Machine) -> None:
    settings = load(None, {}, {"device.data_dir": str(machine.folder / "data")})
    told: list[str] = []
    following = threading.Event()
    answers: list[tuple[dict[str, Any], Exit]] = []

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            following.set()

    with held(machine.shelf):
        keep_job(machine.shelf.folder, Job(id="7", version="1.1.0", state=State.PROBING, percent=76))
        second = threading.Thread(target=lambda: answers.append(update.run("install", settings, None, tell)))
        second.start()
        assert following.wait(30)
        done = Job(id="7", version="1.1.0", state=State.COMMITTED, percent=100, result="installed")
        keep_job(machine.shelf.folder, done)
    second.join(30)
    assert [code for _, code in answers] == [Exit.OK]
    assert told[1:] == [
        " 76 %  1.1.0: The new version is being tested.",
        "100 %  1.1.0: The update was installed.",
    ]


@pytest.mark.parametrize("action", ["status", "history", "check"])
def test_answers_can_be_read_by_a_person(machine: Machine, action: str) -> None:
    machine.publish("1.1.0", LIVES)
    machine.run("install")
    words = ["--data-dir", str(machine.folder / "data"), "--set", "update.backend=folders"]
    words += ["--set", f"update.root={machine.folder}", "--set", f"update.trust={machine.folder}/root.json"]
    words += ["--set", f"update.source={machine.folder}/published"]
    cli.run([*words, "update", action])
    assert "1.1.0" in machine.capture.readouterr().out


def test_pages_find_the_job_in_its_file(tmp_path: Path) -> None:
    assert shown_update(tmp_path).version == ""
    job = Job(
        id="7", version="1.1.0", state=State.ROLLED_BACK, reason=because("UPD-023"), result="taken_back"
    )
    keep_job(tmp_path, job)
    shown = shown_update(tmp_path)
    assert (str(shown.step), shown.code, shown.job) == ("The update was taken back.", "UPD-023", "7")
    assert str(shown.reason) == "The new version had no network, and the former one had."
