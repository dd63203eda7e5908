"""Known secrets through a whole life at the loudest log level: each is only where it belongs."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.people import Browser, Owner
from scripts.processes import Program, eventually
from scripts.steps import add_station, arrived, card, choose_network, device_named, event
from tests.e2e.canaries import (
    SMTP_PASSWORD,
    WIFI,
    WRONG,
    LoudCloud,
    LoudStation,
    Secrets,
    suspicious_mail_server,
)
from tests.e2e.test_journeys import claim_code

CARD = ("PIN", "link secret")
STATION_PAGES = (
    "/claim",
    "/status",
    "/phones",
    "/help",
    "/country",
    "/technician",
    "/health",
    "/metrics",
    "/api/status",
)
STATION_COMMANDS = ("status", "status --json", "doctor --json", "settings", "settings --json", "health",
                    "fingerprint", "buffer ls")  # fmt: skip
CLOUD_PAGES = ("/", "/account", "/account/tokens", "/account/log", "/account/data", "/stations/add")
CLOUD_ANSWERS = ("/v1/devices", "/v1/tokens", "/v1/audit", "/v1/audit/export", "/v1/audit/export?format=csv",
                 "/v1/metrics", "/v1/jwks", "/v1/openapi.json", "/health")  # fmt: skip


@pytest.fixture
def loud(place: Path, programs: list[Program]) -> Iterator[tuple[LoudCloud, LoudStation]]:
    """Both, running, and a mail server that the cloud's password does not please."""
    with suspicious_mail_server() as (port, tried):
        cloud = LoudCloud(place, port)
        programs.append(cloud)
        cloud.start()
        station = LoudStation(place, cloud)
        programs.append(station)
        station.start()
        station.wait_for("setup")
        anybody = Browser(cloud.url())
        page = anybody.get("/forgot")
        anybody.send(page, "/forgot", email=cloud.account()[0])
        assert tried.wait(30), "the password was used"
        yield cloud, station


def secrets_of_the_station(station: LoudStation, known: Secrets) -> None:
    identity = station.data / "identity"
    known.text("Wi-Fi password", WIFI)
    known.text("wrong Wi-Fi password", WRONG)
    known.text("hotspot key", (identity / "hotspot.key").read_text().strip())
    known.pin("technician's PIN", station.pin())
    shown = json.loads((identity / "card.json").read_text())
    known.pin("PIN", shown["pin"])
    known.text("link secret", shown["link_secret"])
    known.pem("device key", (identity / "device.key").read_text())


def secrets_of_the_cloud(cloud: LoudCloud, owner: Owner, known: Secrets) -> None:
    known.text("SMTP password", SMTP_PASSWORD)
    known.text("password of the account", cloud.account()[1])
    for cookie in owner.cookies:
        if "session" in cookie.name:
            known.text("session cookie", str(cookie.value))
    folder = cloud.data / "secrets"
    pepper = (folder / "pepper").read_bytes()
    known.text("pepper", pepper.hex() if len(pepper) == 32 else pepper.decode().strip())
    for key in sorted(folder.rglob("*.key")):
        known.pem(str(key.relative_to(folder)), key.read_text())


def of_the_station(station: LoudStation) -> dict[str, str]:
    """What a station tells about itself, by where."""
    said = {f"GET {path}": Browser(station.url()).bytes(path).decode() for path in STATION_PAGES}
    for words in STATION_COMMANDS:
        done = station.cli(*words.split())
        said[words] = done.stdout + done.stderr
    bundle = station.folder / f"{station.state()}.tar.gz"
    done = station.cli("support-bundle", str(bundle))
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(bundle.read_bytes()))) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            said[f"bundle {member.name}"] = file.read().decode() if file else ""
    return said


def of_the_cloud(cloud: LoudCloud, owner: Owner, device: str) -> dict[str, str]:
    """What a cloud tells its owner and its operator, and what it keeps, by where."""
    paths = (*CLOUD_PAGES, *CLOUD_ANSWERS, f"/v1/devices/{device}", f"/v1/devices/{device}/events")
    said = {f"GET {path}": owner.bytes(path).decode() for path in paths}
    with zipfile.ZipFile(io.BytesIO(owner.bytes("/v1/account/export"))) as archive:
        said |= {f"export {name}": archive.read(name).decode(errors="replace") for name in archive.namelist()}
    for words in (["settings"], ["audit", "export"], ["certificates", "ls"], ["registrations", "ls"]):
        done = subprocess.run(cloud.cli(*words), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said[" ".join(words)] = done.stdout + done.stderr
    private = {cloud.data / "demo-account.txt"}
    for path in sorted(cloud.data.rglob("*")):
        if path.is_file() and path not in private and cloud.data / "secrets" not in path.parents:
            said[f"file {path.relative_to(cloud.data)}"] = path.read_bytes().decode("latin-1")
    return said


def test_no_secret_is_where_it_does_not_belong(loud: tuple[LoudCloud, LoudStation]) -> None:
    cloud, station = loud
    owner, known = Owner(cloud.url(), cloud.account()), Secrets()
    secrets_of_the_station(station, known)
    secrets_of_the_cloud(cloud, owner, known)
    administrator = subprocess.run(cloud.cli("administrator", cloud.account()[0]), capture_output=True)
    assert administrator.returncode == 0, administrator.stderr

    choose_network(station, WRONG)
    station.wait_for("setup")
    page = Browser(station.url()).get("/progress")
    assert "NET-001" in page.text
    assert known.found_in(page.html) == []
    choose_network(station, WIFI)
    station.wait_for("network_ready")
    shown = card(station)
    wrong = add_station(owner, shown["short_id"], "000000" if shown["pin"] != "000000" else "000001")
    assert known.found_in(wrong.html) == []
    before = of_the_station(station)
    code = known.text("claim token", claim_code(owner, "Canary"))
    assert station.cli("register", code).returncode == 0
    station.wait_for("operational")
    device = device_named(owner, "Canary")
    station.drop("first", event(1))
    arrived(owner, device, {1})
    credentials = json.loads((station.data / "identity/credentials.json").read_text())
    known.text("device token", credentials["token"])
    made = owner.send(owner.get("/account/tokens"), "/account/tokens", name="x", scope_read="1")
    known.text("API token", next(word for word in made.text.split() if word.startswith("mpt_")))
    technician = Browser(station.url())
    desk = technician.send(technician.get("/technician"), "/technician", pin=station.pin())
    assert desk.status == 200
    eventually(lambda: owner.stations()[0]["tone"] == "running", "it beats")

    assert len(known) >= 16
    places = {
        **{f"before: {where}": text for where, text in before.items()},
        **{f"after: {where}": text for where, text in of_the_station(station).items()},
        **{f"cloud: {where}": text for where, text in of_the_cloud(cloud, owner, device).items()},
        "the station's log": station.text(),
        "the cloud's log": cloud.text(),
    }
    assert "DEBUG" in places["the station's log"]
    assert "DEBUG" in places["the cloud's log"]
    found = {where: names for where, text in places.items() if (names := known.found_in(text))}
    shows_the_card = ("before: status --json", "before: GET /claim")
    assert found == {"before: status": ["PIN"]} | {where: list(CARD) for where in shows_the_card}
    assert known.found_in(station.shown.read_text(), (*CARD, "technician's PIN", "hotspot key")) == []
