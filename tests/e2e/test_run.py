"""`make run` as a new user calls it: what it prints is true, Ctrl-C ends it cleanly, and the data stay."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from scripts.people import Browser, Owner
from scripts.processes import ROOT, eventually, free_port


class Run:
    """`python -m scripts.run`, which is what the make target calls."""

    def __init__(self, folder: Path, cloud: int, portal: int, *more: str) -> None:
        ports = ("--cloud-port", str(cloud), "--portal-port", str(portal))
        self.out = folder / "run.out"
        with self.out.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.run", "--data", str(folder / "data"), *ports, *more],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.out.read_text()

    def ready(self) -> str:
        return eventually(lambda: self.text() if "What to do next" in self.text() else "", "it is ready", 90)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)


def test_it_prints_what_is_true_and_ends_cleanly_and_goes_on_with_the_same_data(place: Path) -> None:
    cloud, portal = free_port(), free_port()
    first = Run(place, cloud, portal)
    printed = first.ready()
    account = re.search(r"sign in as (\S+) with (\S+)", printed)
    assert account
    owner = Owner(f"http://127.0.0.1:{cloud}", (account[1], account[2]))
    assert owner.stations() == []
    page = Browser(f"http://127.0.0.1:{portal}").get("/setup")
    network = re.search(r'choose the network "([^"]+)"', printed)
    assert network
    assert network[1] in page.text
    short_id = re.search(r"Meteor station ([A-Z]{6})", page.text)
    assert short_id
    spool = re.search(r"cp photo.jpg (\S+)", printed)
    assert spool
    assert Path(spool[1]).is_dir()
    assert first.interrupt() == 0
    for port in (cloud, portal):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, "nothing is left running"

    second = Run(place, cloud, portal)
    second.ready()
    again = Owner(f"http://127.0.0.1:{cloud}", (account[1], account[2]))
    assert again.stations() == []
    assert short_id[1] in Browser(f"http://127.0.0.1:{portal}").get("/setup").text
    assert second.interrupt() == 0

    third = Run(place, cloud, portal, "--clean")
    third.ready()
    assert short_id[1] not in Browser(f"http://127.0.0.1:{portal}").get("/setup").text
    assert third.interrupt() == 0
    for log in ("cloud.log", "station.log"):
        assert "Traceback" not in (place / "data" / log).read_text()


def test_a_port_in_use_is_named_with_the_way_out(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = Run(place, taken.getsockname()[1], free_port())
        assert run.process.wait(60) == 1
    assert "is in use" in run.text()
    assert "CLOUD_PORT=" in run.text()
