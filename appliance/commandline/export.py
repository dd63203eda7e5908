"""`buffer export`: what waits and what was set aside, out of a buffer in any condition, into a folder.

DIR/<uuid>.json             an event as another station's spool takes it
    DIR/messages/<uuid>.json    everything about the message, with its payload
    DIR/media/<sha256>.<end>    its files

The files come before the messages that name them, so a folder that was left half written can be used too.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.message import values_of
from appliance.files import write_atomically
from appliance.media_folders import folders
from appliance.paths import Paths
from appliance.settings import Settings
from appliance.sources.accept import KIND
from appliance.sources.again import observation_of
from buffer.detail import Detail, Wish
from buffer.errors import MediaMissing, StoreError
from buffer.message import MediaRef
from buffer.shelves import Shelves
from buffer.survey import Survey

_MODE = 0o644
"""Who carries the folder to another station is seldom the user who exported it."""
_END = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass
class Exported:
    """What came of it. `missing` and `damaged` name files by the event's name for them."""

    messages: int = 0
    events: int = 0
    media: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    broken: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything that the buffer names was there and sound."""
        return not (self.missing or self.damaged or self.broken or self.troubles)

    def values(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self) | {"whole": self.whole}


def to_folder(settings: Settings, folder: Path, wish: Wish, file: Path | None, *, force: bool) -> Exported:
    """Everything that `wish` asks for, as files. Raises `CommandFailed`."""
    try:
        if folder.exists() and any(folder.iterdir()) and not force:
            hint = "Name another folder, or say --force to write into this one."
            raise CommandFailed(Exit.USAGE, f"{folder} is not empty.", hint)
        for each in (folder, folder / "messages", folder / "media"):
            each.mkdir(parents=True, exist_ok=True)
        target = Folder(folder, Shelves(folders(Paths(settings.data_dir))))
        return _through(settings, wish, file, target.take, target.exported)
    except NotADirectoryError:
        raise CommandFailed(Exit.USAGE, f"{folder} is not a folder.") from None
    except PermissionError:
        raise
    except OSError as error:
        hint = "What is there already is complete. Make room, or name another folder."
        raise CommandFailed(Exit.FAILED, f"{folder}: {error.strerror}.", hint) from None


def to_lines(settings: Settings, wish: Wish, file: Path | None, out: Callable[[str], object]) -> Exported:
    """One line of JSON for each message; files are named and not copied. Raises `CommandFailed`."""
    media = Shelves(folders(Paths(settings.data_dir)))
    exported = Exported()

    def line(detail: Detail) -> None:
        values = values_of(detail, media)
        exported.missing += [each["name"] for each in values["media"] if not each["on_disk"]]
        out(msgspec.json.encode(values).decode() + "\n")

    return _through(settings, wish, file, line, exported)


def _through(
    settings: Settings,
    wish: Wish,
    file: Path | None,
    take: Callable[[Detail], None],
    exported: Exported,
) -> Exported:
    with tempfile.TemporaryDirectory(prefix="meteor-export-") as work:
        survey = Survey(Path(work) / "copy")
        try:
            for detail in _details(settings, survey, file):
                if wish.met_by(detail):
                    take(detail)
                    exported.messages += 1
                    exported.broken += not detail.sound
        except StoreError as error:
            raise CommandFailed(Exit.FAILED, str(error)) from None
    exported.broken += survey.broken
    exported.troubles += survey.troubles
    return exported


def _details(settings: Settings, survey: Survey, file: Path | None) -> Iterator[Detail]:
    return survey.of_file(file) if file else survey.of_station(Paths(settings.data_dir).buffer_file)


class Folder:
    """Writes messages into a folder, their files first."""

    def __init__(self, folder: Path, media: Shelves) -> None:
        self.exported = Exported()
        self._folder = folder
        self._media = media
        self._places: dict[str, str] = {}

    def take(self, detail: Detail) -> None:
        """One message. Raises `OSError`."""
        for ref in detail.media:
            self._copy(ref)
        values = values_of(detail, self._media)
        for each in values["media"]:
            each["file"] = self._places.get(each["sha256"])
        text = msgspec.json.format(msgspec.json.encode(values), indent=2)
        write_atomically(self._folder / "messages" / f"{detail.uuid}.json", text, _MODE)
        if detail.kind == KIND and detail.sound:
            self._for_the_spool(detail)

    def _for_the_spool(self, detail: Detail) -> None:
        text = observation_of(detail.payload, detail.priority, self._places)
        if text is not None:
            write_atomically(self._folder / f"{detail.uuid}.json", text, _MODE)
            self.exported.events += 1

    def _copy(self, ref: MediaRef) -> None:
        if ref.sha256 in self._places:
            return
        end = PurePosixPath(ref.name).suffix
        place = f"media/{ref.sha256}{end if _END.fullmatch(end) else ''}"
        try:
            if self._media.copy_out(ref.sha256, self._folder / place):
                self._places[ref.sha256] = place
                self.exported.media += 1
            else:
                self.exported.damaged.append(ref.name)
        except MediaMissing:
            self.exported.missing.append(ref.name)


def lines(facts: dict[str, Any]) -> list[str]:
    """What was exported and what was not, for a person."""
    rows = [
        f"{facts['messages']} messages with {facts['media']} files;"
        f" {facts['events']} of them are events that another station's spool takes."
    ]
    rows += [f"! {trouble}" for trouble in facts["troubles"]]
    if facts["broken"]:
        rows.append(f"! {facts['broken']} messages are damaged; they are not for the spool.")
    for word in ("missing", "damaged"):
        if facts[word]:
            rows.append(f"! files that are {word}: {', '.join(facts[word])}")
    return rows
