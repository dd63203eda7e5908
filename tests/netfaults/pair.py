"""A real station and a real cloud, each in its namespace, claimed and running, and all that can fail."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from scripts.people import Browser, Owner
from scripts.processes import Cloud, Program, Station
from scripts.steps import claim, go_online
from tests.netfaults.certificates import make
from tests.netfaults.clock import StationClock
from tests.netfaults.control import Tool
from tests.netfaults.links import KINDS, Link
from tests.netfaults.namespaces import Room, Rooms

NAME = "cloud.netfaults.test"


class FarCloud(Cloud):
    """The cloud in its namespace; people reach it by the door, the station only through the proxy."""

    def __init__(self, folder: Path, room: Room) -> None:
        super().__init__(folder)
        self._room = room

    def command(self) -> list[str]:
        return [*self._room.inside, *(word.replace("127.0.0.1", "0.0.0.0") for word in super().command())]

    def url(self) -> str:
        return f"http://{self._room.door}:{self.port}"


class FarStation(Station):
    """The station in its namespace, with a clock that can be put wrong."""

    def __init__(self, folder: Path, cloud: Cloud, room: Room, clock: StationClock, trusted: Path) -> None:
        settings = {
            "cloud.url": f"https://{NAME}",
            "cloud.ca_certificate": str(trusted),
            "portal.host": "0.0.0.0",
        }
        super().__init__(folder, cloud, **settings)
        self._room = room
        self._clock = clock

    def command(self) -> list[str]:
        return [*self._room.inside, *self._clock.environment, *super().command()]

    def url(self) -> str:
        return f"http://{self._room.door}:{self.port}"


class Pair:
    """Station, cloud, the link between them, and the tools that spoil it. `kind` is that of the link."""

    def __init__(self, kind: str) -> None:
        """Makes everything and claims the station. `close` it also when this raises."""
        self.folder = Path(tempfile.mkdtemp(prefix="met-"))
        self._closing = [lambda: shutil.rmtree(self.folder, ignore_errors=True)]
        try:
            self._build(kind)
        except BaseException:
            self.close()
            raise

    def _build(self, kind: str) -> None:
        rooms = Rooms()
        self._closing.append(rooms.remove)
        self.link: Link = KINDS[kind](rooms, self.folder)
        self._closing.append(self.link.close)
        self.cloud = FarCloud(self.folder, rooms.cloud)
        self._closing.append(lambda: print("cloud ended:", self.cloud.stop()))
        self.cloud.start()
        trusted = make(self.folder, NAME)
        self.names = self._tool(rooms, "names", rooms.cloud.link, NAME)
        upstream = f"http://127.0.0.1:{self.cloud.port}"
        self.proxy = self._tool(rooms, "proxy", rooms.cloud.link, upstream, str(self.folder))
        self.clock = StationClock(self.folder)
        self.station = FarStation(self.folder, self.cloud, rooms.station, self.clock, trusted)
        self._closing.append(lambda: print("station ended:", self.station.stop()))
        self.station.start()
        self.owner = Owner(self.cloud.url(), self.cloud.account())
        go_online(self.station)
        self.device = claim(self.station, self.owner)

    def _tool(self, rooms: Rooms, module: str, *arguments: str) -> Tool:
        tool = Tool(self.folder, module, *arguments, inside=rooms.cloud.inside)
        self._closing.append(tool.stop)
        return tool

    def close(self) -> None:
        """Ends all processes and removes the namespaces, the last thing first."""
        while self._closing:
            self._closing.pop()()

    # --- what a test does -----------------------------------------------------------------------------------

    def heal(self) -> None:
        """Lifts every fault, whichever it was."""
        self.link.set()
        self.names.ask(mode="answer")
        self.proxy.ask(mode="pass", certificate="good", marker="")
        self.clock.set()

    def unplug(self) -> None:
        """The station's network is out of reach, so that everything that follows needs new connections."""
        self._plugged = self.station.scenario.read_text()
        self.station.scenario.write_text('link = "lost"\n' + self._plugged)
        self.station.wait_for("reconnecting")

    def plug(self) -> None:
        """The network is back."""
        self.station.scenario.write_text(self._plugged)
        self.station.wait_for("operational")

    def send_now(self) -> None:
        """The technician presses "Send now" on the station's page, which may ask for more patience."""
        phone = Browser(self.station.url())
        page = phone.send(phone.get("/technician"), "/technician", pin=self.station.pin())
        if page.status == 200:
            page = phone.send(page, "/technician/retry")
        assert page.status in (200, 429), page.text

    def logs(self) -> dict[str, str]:
        """What station, cloud and tools wrote."""
        programs: dict[str, Program | Tool] = {"station": self.station, "cloud": self.cloud}
        programs |= {"names": self.names, "proxy": self.proxy}
        return {name: program.text() for name, program in programs.items()}
