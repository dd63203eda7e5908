"""Rubbish at every door of the running programs: answers name field and remedy, and nothing crashes."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from scripts.people import Browser, Owner
from scripts.processes import Cloud, Station, UnixConnection, eventually
from scripts.steps import HOME, add_station, arrived, claim, event, go_online

INGEST = "/ingest/v1/events"

SPOOL_RUBBISH = {
    "broken": (b'{"event_type": "meteor"', "JSON"),
    "list": (b"[1, 2, 3]", "object"),
    "no_time": (b'{"event_type": "meteor"}', "timestamp"),
    "no_zone": (b'{"event_type": "meteor", "timestamp": "2026-01-01T00:00:00"}', "zone"),
    "typo": (b'{"event_type": "meteor", "timestamp": "2026-01-01T00:00:00Z", "confidense": 1}', "confidense"),
    "range": (
        b'{"event_type": "meteor", "timestamp": "2026-01-01T00:00:00Z", "confidence": 7}',
        "confidence",
    ),
    "outside": (
        b'{"event_type": "meteor", "timestamp": "2026-01-01T00:00:00Z", "media_files": ["../../etc/passwd"]}',
        "inside the spool",
    ),
    "binary": (bytes(range(256)) * 40, "JSON"),
}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Cloud, Station]]:
    """One cloud and one station for all the rubbish that changes nothing."""
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    cloud = Cloud(folder)
    cloud.start()
    station = Station(folder, cloud)
    station.start()
    yield cloud, station
    for program in (station, cloud):
        program.stop()
        assert "Traceback" not in program.text(), program.text()[-4000:]
    shutil.rmtree(folder, ignore_errors=True)


def test_rubbish_in_the_spool_is_set_aside_with_a_reason(station: Station) -> None:
    station.wait_for("setup")
    spool = station.data / "spool"
    for name, (data, _) in SPOOL_RUBBISH.items():
        (spool / f"{name}.json.tmp").write_bytes(data)
        (spool / f"{name}.json.tmp").rename(spool / f"{name}.json")
    for name, (_, word) in SPOOL_RUBBISH.items():
        reason = spool / "rejected" / f"{name}.reason.txt"
        text = eventually(partial(read, reason), f"{name} is rejected")
        assert word.lower() in text.lower(), (name, text)
    assert station.state() == "setup"
    eventually(lambda: "SRC-020" in station.cli("status").stdout, "the status page tells of it")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b"", 400, None),
        (b"not json", 400, None),
        (b'{"event_type":"meteor"}', 400, "timestamp"),
        (b'{"event_type":"Meteor!","timestamp":"2026-01-01T00:00:00Z"}', 400, "$.event_type"),
        (b'{"event_type":"meteor","timestamp":"yesterday"}', 400, "$.timestamp"),
        (b'{"event_type":"meteor","timestamp":"2026-01-01T00:00:00Z","confidence":-1}', 400, "$.confidence"),
        (
            b'{"event_type":"meteor","timestamp":"2026-01-01T00:00:00Z","x":"' + b"y" * 400_000 + b'"}',
            413,
            None,
        ),
    ],
)
def test_rubbish_at_the_ingest_socket_names_the_field(
    pair: tuple[Cloud, Station], body: bytes, status: int, named: str | None
) -> None:
    _, station = pair
    connection = UnixConnection(station.data / "run/ingest.sock")
    connection.request("POST", INGEST, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    problem = json.loads(answer.read())
    connection.close()
    assert answer.status == status, problem
    assert problem["remedy"]
    if named:
        assert named in problem.get("field", "") + problem["detail"]


def test_the_line_of_the_readme_hands_in_an_event(station: Station, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8 a picture")
    done = subprocess.run(
        [
            *("curl", "-sS", "--unix-socket", str(station.data / "run/ingest.sock")),
            "http://station/ingest/v1/events",
            *("-F", 'event={"event_type":"meteor","timestamp":"2026-01-01T00:00:00Z"}'),
            *("-F", f"file=@{photo}"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["event_id"]


def test_a_picture_alone_is_an_event_too(station: Station, owner: Owner) -> None:
    go_online(station)
    device = claim(station, owner)
    (station.data / "spool" / "photo.jpg").write_bytes(b"\xff\xd8 only a picture")
    rows = eventually(lambda: owner.events(device), "the picture arrives as an event")
    assert rows[0]["event_type"] == "other"
    assert rows[0]["media"][0]["name"] == "photo.jpg"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"password": "short"}, "NET-105"),
        ({"password": ""}, "NET-104"),
        ({"password": "x" * 64}, "NET-1"),
        ({"password": "correct horse", "claim_code": "nonsense"}, "REG-004"),
    ],
)
def test_the_setup_form_says_what_is_wrong_before_the_radio_is_touched(
    pair: tuple[Cloud, Station], values: dict[str, str], code: str
) -> None:
    _, station = pair
    phone = Browser(station.url())
    page = phone.send(phone.get(f"/setup?network={HOME}"), "/setup/join", **values)
    assert code in page.text
    assert station.state() in ("setup", "configuring")


def test_a_form_from_another_site_is_refused(station: Station) -> None:
    phone = Browser(station.url())
    page = phone.get(f"/setup?network={HOME}")
    phone.base = "http://evil.example.org"
    answer = phone.send(page, "/setup/join", password="correct horse")
    assert answer.status in (400, 403)
    assert station.state() in ("setup", "configuring")


@pytest.mark.parametrize(
    ("short_id", "pin"),
    [("", ""), ("BCD", "123456"), ("AEIOUY", "123456"), ("BCDFGH", "12")],
)
def test_the_add_station_form_says_which_field_is_wrong(
    pair: tuple[Cloud, Station], short_id: str, pin: str
) -> None:
    cloud, _ = pair
    owner = Owner(cloud.url(), cloud.account())
    page = add_station(owner, short_id, pin)
    assert page.url.endswith("/stations/add")
    assert 'aria-invalid="true"' in page.html
    assert page.status in (200, 400, 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/devices/claim", b"{}"),
        ("/v1/devices/claim", b"\x00\xff" * 100),
        ("/v1/devices/register/initiate", b"[]"),
        ("/v1/devices/dev_x/heartbeat", b"{}"),
        ("/v1/devices/dev_x/events", b'{"events": 7}'),
        ("/v1/no/such/thing", b"{}"),
    ],
)
def test_rubbish_at_the_cloud_is_a_problem_document(
    pair: tuple[Cloud, Station], path: str, body: bytes
) -> None:
    cloud, _ = pair
    request = urllib.request.Request(cloud.url() + path, body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    problem = json.loads(refused.value.read())
    assert 400 <= refused.value.code < 500
    assert refused.value.headers["Content-Type"].startswith("application/problem+json")
    assert problem["title"]
    assert problem["correlation_id"] == refused.value.headers["X-Request-Id"]


def test_noise_on_every_port_is_survived(cloud: Cloud, station: Station) -> None:
    dice = random.Random(1)
    station.wait_for("setup")
    for port in (cloud.port, station.port):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
                raw.sendall(dice.randbytes(dice.randrange(1, 3000)))
    for name in ("run/control.sock", "run/ingest.sock"):
        for _ in range(10):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(station.data / name))
                raw.sendall(dice.randbytes(500))
    assert station.state() == "setup"
    assert Owner(cloud.url(), cloud.account()).stations() == []


def test_a_wrong_settings_file_names_file_field_and_remedy(station: Station, tmp_path: Path) -> None:
    for text, words in {
        "[portal]\nport = 99999\n": ("portal.port",),
        "[portal]\nprot = 80\n": ("portal.prot", "Did you mean port"),
        "[cloud\n": ("TOML",),
        '[cloud]\nurl = "http://cloud.example.org"\n': ("cloud.url", "https"),
    }.items():
        file = tmp_path / "config.toml"
        file.write_text(text)
        plain = subprocess.run(
            [station.command()[0], "--config", str(file), "settings"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert plain.returncode == 5, plain.stdout
        for word in words:
            assert word in plain.stderr
        assert len(plain.stderr.splitlines()) <= 2, "one clear line"


def test_events_go_on_after_all_that(station: Station, owner: Owner) -> None:
    station.drop("bad", {"event_type": 7})
    go_online(station)
    device = claim(station, owner)
    station.drop("good", event(1))
    arrived(owner, device, {1})


def test_a_running_station_tells_its_figures(station: Station) -> None:
    eventually(lambda: station.status()["host"]["uptime"], "the station has looked at itself")
    with urllib.request.urlopen(station.url() + "/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        lines = answer.read().decode().splitlines()
    assert 'meteor_breaker_state{lane="events",state="closed"} 1' in lines
    assert lines[-1] == "# EOF"
