"""A station whose agent is killed at will: real files, a played program, a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from firmware.clock import ClockQuality, Source
from firmware.update.agent import Agent
from firmware.update.backends.folders import PLACE, Folders
from firmware.update.book import Shelf, State
from firmware.update.check import Finder, Station
from firmware.update.port import FolderSource
from firmware.update.reasons import Reason
from firmware.update.sight import Sight
from tests.firmware.update.maker import ISSUED, Maker

OLD, NEW = "1.0.0", "1.1.0"
WELL = Sight(
    alive=True,
    control=True,
    portal=True,
    buffer=True,
    migrated=True,
    network=True,
    cloud=True,
    clock=True,
    free=1 << 30,
)


@dataclass
class PlayedTime:
    """Monotonic time moves when somebody waits."""

    now: float = 1000.0
    wall_at: float = ISSUED.timestamp() + 86_400
    trusted: bool = True

    def wall(self) -> float:
        return self.wall_at + self.now

    def monotonic(self) -> float:
        return self.now

    def quality(self) -> ClockQuality:
        return ClockQuality(self.trusted, Source.NTP if self.trusted else Source.UNKNOWN, None)

    def pause(self, seconds: float) -> None:
        self.now += seconds


class PlayedFolders(Folders):
    """The folders are real; the program that runs is only a name, which outlives the agent."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, self)
        self.process: str | None = None
        self.broken: set[str] = set()

    def pid(self) -> int | None:
        raise AssertionError("nobody asks")

    def running(self) -> str | None:
        return self.process

    def restart(self) -> None:
        self.process = self.pointed()
        if self.process in self.broken:
            self.process = None


def files_of(version: str) -> dict[str, bytes]:
    """What is in a runtime."""
    return {"run": f"#!{version}\n".encode(), "lib/part": version.encode() * 50}


@dataclass
class World:
    """One machine with version 1.0.0, and a maker that has published 1.1.0."""

    folder: Path
    maker: Maker = field(default_factory=Maker)
    time: PlayedTime = field(default_factory=PlayedTime)
    sees: Callable[[str | None], Sight] = lambda _running: WELL

    def __post_init__(self) -> None:
        place = self.folder / PLACE
        for name, content in files_of(OLD).items():
            (place / OLD / name).parent.mkdir(parents=True, exist_ok=True)
            (place / OLD / name).write_bytes(content)
        (place / "current").symlink_to(OLD)
        (self.folder / "update").mkdir()
        self.backend = PlayedFolders(self.folder)
        self.backend.process = OLD
        self.shelf = Shelf(self.folder / "update")
        self.source = self.folder / "published"
        self.root = self.maker.root()

    def publish(self, version: str = NEW, **changes: object) -> None:
        """A release that everybody may have."""
        self.maker.release(self.source, version, files_of(version), **changes)

    def agent(self) -> Agent:
        """A new agent, as after a start."""
        finder = Finder(self.shelf, self.root, Station(device_id="station"), self.time)
        return Agent(
            backend=self.backend,
            shelf=self.shelf,
            finder=finder,
            sources=lambda origin: FolderSource(Path(origin) if origin else self.source),
            look=lambda: self.sees(self.backend.running()),
            time=self.time,
            pause=self.time.pause,
        )

    def live(self) -> Reason | None:
        """One life of an agent: it goes on, looks for a release, and works until nothing is left."""
        agent = self.agent()
        agent.recover()
        if agent.book.state is not State.IDLE:
            agent.run()
        return agent.check(asked=True) or agent.run()

    def power_cut(self) -> None:
        """The machine starts again: what is pointed to runs."""
        self.backend.process = None
        self.backend.restart()

    def is_whole(self, version: str | None) -> bool:
        """Whether every file of a version is there."""
        folder = self.folder / PLACE / str(version)
        return version is not None and all(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in files_of(version).items()
        )

    @property
    def results(self) -> list[tuple[str, str, str]]:
        """Version, result and reason of every update that is over."""
        history = self.shelf.memory().history
        return [(each.version, each.result, each.reason.code if each.reason else "") for each in history]

    def leftovers(self) -> Iterator[Path]:
        """What an update should not leave behind."""
        yield from (self.folder / PLACE).glob(".*")
        if self.shelf.staging.exists():
            yield self.shelf.staging
