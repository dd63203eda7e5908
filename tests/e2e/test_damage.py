"""A damaged buffer under the real station: it starts, goes on recording, and the owner is told."""

from __future__ import annotations

from scripts.people import Owner
from scripts.processes import Station, eventually
from scripts.steps import arrived, claim, event, go_online


def test_a_buffer_that_turned_into_rubbish_does_not_stop_the_station(station: Station, owner: Owner) -> None:
    go_online(station)
    device = claim(station, owner)
    station.drop("before", event(1))
    arrived(owner, device, {1})
    station.stop()
    database = station.data / "buffer" / "buffer.db"
    database.write_bytes(b"not a database any more" * 1000)
    for name in ("buffer.db-wal", "buffer.db-shm"):
        (database.parent / name).unlink(missing_ok=True)
    station.start()
    station.wait_for("operational", seconds=60)
    station.drop("after", event(2))
    arrived(owner, device, {1, 2})
    eventually(lambda: "BUF-006" in station.cli("status").stdout, "the technician is told")
    told = eventually(
        lambda: [
            row
            for row in owner.json(f"/v1/devices/{device}/events?limit=50")["events"]
            if row["event_type"] == "station_buffer_damaged"
        ],
        "the owner is told",
    )
    assert len(told) == 1


def test_a_message_that_was_set_aside_can_be_tried_again(station: Station) -> None:
    done = station.cli("buffer", "retry")
    assert done.returncode == 0, done.stderr
    assert "0 messages" in done.stdout
