"""The real programs as processes, for journeys and benches: started as a user would, stopped, killed."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent
START_S = 30.0

SCENARIO = """
join_seconds = 0.2
scan_seconds = 0.1

[[networks]]
name = "Home"
signal = 80
password = "correct horse"

[[networks]]
name = "Neighbour"
signal = 40
password = "not yours at all"

[[networks]]
name = "Barn"
signal = 60
password = "correct horse"
fault = "no_dhcp"
"""

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], T | None], what: str, seconds: float = 30.0, every: float = 0.1) -> T:
    """Looks until it sees something; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(every)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("station", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


class Program:
    """One process with its log."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise AssertionError("each program says how it starts")

    def url(self) -> str:
        raise AssertionError("each program says where it answers")

    def start(self) -> None:
        """Starts, and waits until it answers."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("METEOR_", "NOTIFY_"))}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(), stdout=output, stderr=output, cwd=ROOT, env=environment
            )
        eventually(self._answers, f"{self.log.stem} answers:\n{self.text()[-3000:]}", START_S)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.log.stem} ended:\n{self.text()[-3000:]}"
        try:
            with urllib.request.urlopen(f"{self.url()}/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """As a power cut for this process."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As systemd does; returns the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Cloud(Program):
    """`meteor-cloud run --development`, always at the same address."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, "cloud")
        self.port = free_port()
        self.data = folder / "cloud"
        self.settings = {"poll_interval": "1", "heartbeat_interval": "5"} | settings
        config = folder / "cloud.toml"
        lines = (f"{name} = {value if value.isdigit() else msgspec.json.encode(value).decode()}"
                 for name, value in self.settings.items())  # fmt: skip
        config.write_text("\n".join(lines) + "\n")
        self.config = config

    def command(self) -> list[str]:
        return [
            *(str(BIN / "meteor-cloud"), "run", "--config", str(self.config), "--development"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.data)),
        ]

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def account(self) -> tuple[str, str]:
        email, password = (self.data / "demo-account.txt").read_text().split()
        return email, password


class Station(Program):
    """`meteor-appliance run --simulate` with a quick scenario."""

    def __init__(self, folder: Path, cloud: Cloud, name: str = "station", **settings: str) -> None:
        super().__init__(folder, name)
        self.data = folder / name
        self.cloud = cloud
        self.port = free_port()
        self.scenario = folder / f"{name}.scenario.toml"
        self.scenario.write_text(SCENARIO)
        self.settings = {
            "device.data_dir": str(self.data),
            "cloud.url": cloud.url(),
            "portal.host": "127.0.0.1",
            "portal.port": str(self.port),
            "network.scenario": str(self.scenario),
            "sources.settle_seconds": "0.5",
        } | settings

    def flags(self) -> list[str]:
        return [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]

    def command(self) -> list[str]:
        return [str(BIN / "meteor-appliance"), *self.flags(), "run", "--simulate"]

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of the station's command line."""
        command = [str(BIN / "meteor-appliance"), *self.flags(), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)

    def status(self) -> dict[str, Any]:
        """What `status --json` says, asked over the same socket."""
        connection = UnixConnection(self.data / "run/control.sock")
        try:
            connection.request("GET", "/status")
            facts: dict[str, Any] = msgspec.json.decode(connection.getresponse().read())
        finally:
            connection.close()
        return facts

    def pin(self) -> str:
        """The technician's."""
        kept: dict[str, Any] = msgspec.json.decode((self.data / "identity/technician.json").read_bytes())
        return str(kept["pin"])

    def state(self) -> str:
        return str(self.status()["state"])

    def wait_for(self, *states: str, seconds: float = 30.0) -> str:
        """Until the station is in one of these states."""
        return eventually(
            lambda: state if (state := self.state()) in states else None,
            f"the station reaches {states}, it is in {self.state()}:\n{self.text()[-2500:]}",
            seconds,
        )

    def drop(self, name: str, event: dict[str, Any], **files: bytes) -> None:
        """Drops an event into the spool as the contract asks: media first, then the JSON by rename."""
        spool = self.data / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (spool / file.replace("_dot_", ".")).write_bytes(data)
        temporary = spool / f"{name}.json.tmp"
        temporary.write_bytes(msgspec.json.encode(event))
        temporary.rename(spool / f"{name}.json")
