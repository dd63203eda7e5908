"""A technician's rescue: what one station could not send reaches the cloud by way of another, once each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from scripts.people import Owner
from scripts.processes import Station, eventually
from scripts.steps import arrived, claim, event, go_online


def test_the_backlog_of_a_station_is_sent_by_another_one(
    station: Station, owner: Owner, tmp_path: Path
) -> None:
    spool = station.data / "spool"
    for number in (1, 2):
        files = {"sky_dot_jpg": b"picture" * 1000} if number == 1 else {}
        told = event(number, media_files=["sky.jpg"] if number == 1 else [])
        station.drop(f"night-{number}", told, **files)
    eventually(lambda: len(rows(station)) >= 2, "both are in the buffer")
    waits = station.cli("buffer", "flush", "--wait", "0")
    assert waits.returncode == 7
    assert "belongs to nobody" in waits.stdout
    station.kill()
    rescued = tmp_path / "rescued"
    done = station.cli("buffer", "export", str(rescued), "--kind", "event")
    assert done.returncode == 0, done.stderr
    wipe(station)
    station.start()
    go_online(station)
    device = claim(station, owner)
    for _ in range(2):
        shutil.copytree(rescued, spool, dirs_exist_ok=True)
        eventually(lambda: not list(spool.glob("*.json")), "the folder is taken")
    arrived(owner, device, {1, 2})
    flushed = station.cli("buffer", "flush", "--wait", "60")
    assert (flushed.returncode, flushed.stdout) == (0, "Nothing waits.\n")


def rows(station: Station) -> list[dict[str, object]]:
    """The events of camera programs that wait."""
    found = json.loads(station.cli("buffer", "ls", "--json").stdout)["rows"]
    return [row for row in found if str(row["key"]).startswith("test:")]


def wipe(station: Station) -> None:
    """Another station in the same place: nothing of the first is left but its settings."""
    for name in ("identity", "state", "buffer", "spool"):
        shutil.rmtree(station.data / name, ignore_errors=True)
