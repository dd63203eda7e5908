"""A technician at a real station: in with the PIN, and a restart that comes back with everything."""

from __future__ import annotations

from scripts.people import Browser
from scripts.processes import Station, eventually
from scripts.steps import event


def test_a_restart_comes_back_with_the_same_station_and_what_waited(station: Station) -> None:
    station.wait_for("setup")
    station.drop("night-1", event(1))
    eventually(lambda: station.status()["backlog"]["waiting"], "the event is in the buffer")
    before, revision = station.status(), Browser(station.url()).json("/api/status")["revision"]
    assert station.cli("pin").stdout.replace(" ", "").strip() == station.pin()
    technician = Browser(station.url())
    desk = technician.send(technician.get("/technician"), "/technician", pin=station.pin())
    page = technician.send(desk, "/technician/restart")
    assert (page.status, page.refresh) == (200, "30;url=/status")

    def came_back() -> bool:
        try:
            return bool(Browser(station.url()).json("/api/status")["revision"] != revision)
        except OSError:
            return False

    eventually(came_back, "the station is back", 60)
    station.wait_for("setup", seconds=60)
    after = station.status()
    assert after["short_id"] == before["short_id"]
    waits = eventually(lambda: station.status()["backlog"]["waiting"], "the buffer is read again")
    assert sum(row["count"] for row in waits) >= 1
    assert technician.send(desk, "/technician/retry").status == 403, "the session ended with the program"
    assert station.stop() == 0, "it is the same process, and it ends as ever"
