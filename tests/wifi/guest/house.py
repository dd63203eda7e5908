"""The cloud in the house's network, and its owner: `meteor-cloud run`, and a browser beside the router."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from scripts.people import Owner
from scripts.steps import add_station
from tests.namespaces import Namespace
from tests.visitor import eventually
from tests.wifi.guest.radios import FOLDER
from tests.wifi.guest.router import ADDRESS, CLOUD_NAME, CLOUD_PORT
from tests.wifi.guest.station import PATIENCE_S, PROJECT

T = TypeVar("T")
NAME = "Roof south"


class House:
    """Everything behind the router."""

    def __init__(self) -> None:
        self.space = Namespace("router")
        self.data = FOLDER / "cloud"
        self._owner: Owner | None = None
        self._cloud: subprocess.Popen[bytes] | None = None

    def start_cloud(self) -> None:
        """Waits until it answers."""
        config = FOLDER / "cloud.toml"
        config.write_text("poll_interval = 1\nheartbeat_interval = 5\n")
        self._cloud = self.space.popen(
            *("env", "-C", PROJECT, sys.executable, "-m", "cloud", "run", "--config", config),
            *("--development", "--host", "0.0.0.0", "--port", CLOUD_PORT, "--data-dir", self.data),
            *("--public-url", f"http://{CLOUD_NAME}:{CLOUD_PORT}"),
            log=FOLDER / "cloud.log",
        )
        listening = f":{CLOUD_PORT} "
        eventually(
            lambda: listening in self.space.run("ss", "-Hltn") or self._ended(),
            "the cloud answers",
            PATIENCE_S,
        )
        assert not self._ended(), (FOLDER / "cloud.log").read_text()[-3000:]

    def stop_cloud(self) -> None:
        """Whoever started it."""
        for pid in self.space.run("ss", "-Hltnp", f"sport = :{CLOUD_PORT}").split("pid=")[1:]:
            os.kill(int(pid.partition(",")[0]), signal.SIGTERM)
        listening = f":{CLOUD_PORT} "
        eventually(lambda: listening not in self.space.run("ss", "-Hltn"), "the cloud ends", PATIENCE_S)

    def _ended(self) -> bool:
        return self._cloud is not None and self._cloud.poll() is not None

    def ask(self, question: Callable[[Owner], T]) -> T:
        """What the owner does at the cloud, from inside the house."""

        def inside() -> T:
            if self._owner is None:
                email, password = Path(self.data / "demo-account.txt").read_text().split()
                self._owner = Owner(f"http://{ADDRESS}:{CLOUD_PORT}", (email, password))
            return question(self._owner)

        return self.space.do(inside)

    def add(self, card: dict[str, str]) -> None:
        """The owner types short id and PIN."""
        self.ask(lambda owner: add_station(owner, card["short_id"], card["pin"], NAME))

    def arrived(self) -> set[str]:
        """The names of all events that are in the cloud."""

        def look(owner: Owner) -> set[str]:
            device = str(owner.stations()[0]["id"])
            return {str(row["client_event_id"]) for row in owner.events(device)}

        return self.ask(look)
