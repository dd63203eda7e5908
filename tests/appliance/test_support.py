"""The support bundle: secrets planted everywhere do not come out, and what helps does."""

from __future__ import annotations

import base64
import io
import json
import logging
import random
import re
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from appliance.files import write_atomically
from appliance.identity.credentials import from_claim
from appliance.logs import HISTORY, LONGEST, Tail
from appliance.network.port import Credentials, Enterprise, Security
from appliance.network.stored import StoredNetworks
from appliance.paths import Paths
from appliance.settings import NetworkSection, Settings
from appliance.station import Station
from appliance.support.bundle import MOST_BYTES, pack
from appliance.support.known import look
from appliance.support.material import Material
from appliance.support.redact import HIDDEN, Redactor
from buffer.message import Draft, Priority
from protocol.codes import new_claim_token
from statemachine.record import NetworkAttempt
from tests.appliance.fakes import FakeCloud
from tests.appliance.ward import patient
from tests.appliance.workshop import station
from tests.firmware.boards import write

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJkZXZfMSIsImNhbmFyeSI6MX0.c2lnbmF0dXJlLWNhbmFyeQ"
MAC = "b8:27:eb:12:ca:fe"
PUBLIC = "8.8.4.4"


def logger() -> logging.Logger:
    """One that nobody else hears."""
    made = logging.getLogger("tests.support")
    made.handlers.clear()
    made.propagate = False
    return made


def opened(packed: bytes) -> dict[str, str]:
    """The files of a bundle by name."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        return {
            member.name.removeprefix("support/"): (archive.extractfile(member) or io.BytesIO())
            .read()
            .decode()
            for member in archive.getmembers()
        }


# --- the canaries -------------------------------------------------------------------------------------------


class Canaries:
    """Secrets that no bundle may hold, in no form."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def plant(self, where: str, value: str) -> str:
        """Remembers it, and gives it back to be put somewhere."""
        self.secrets[where] = value
        return value

    def found_in(self, text: str) -> dict[str, str]:
        """Which of them came out, in which form."""
        return {
            f"{where} as {form}": value
            for where, secret in self.secrets.items()
            for form, value in self._forms(secret).items()
            if value.lower() in text.lower()
        }

    def _forms(self, secret: str) -> dict[str, str]:
        raw = secret.encode()
        return {
            "text": secret,
            "hex": raw.hex(),
            "base64": base64.b64encode(raw).decode().rstrip("="),
            "url": quote(secret, safe=""),
            "json": json.dumps(secret)[1:-1],
            "bytes": repr(raw)[2:-1],
        }


@asynccontextmanager
async def planted(
    folder: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Station, Canaries]]:
    """A station with a canary in every place that can hold one."""
    canaries = Canaries()
    plant = canaries.plant
    monkeypatch.setenv("METEOR_DB_PASSWORD", plant("environment", "canary-in-the-environment"))
    monkeypatch.setenv("BACKUP_TOKEN", plant("environment token", "Canary0Token1In2The3Environment"))
    async with station(
        folder,
        cloud.url,
        check_url=f"http://check.example.org/health?token={plant('settings', 'canary-in-a-setting')}",
        ethernet=True,
    ) as made:
        paths = made.paths
        _plant_networks(paths, plant)
        await made.device.network.start()
        await _plant_identity(made, cloud, plant)
        await _plant_record(made, plant)
        await _plant_buffer(made, plant)
        _plant_log(made, canaries)
        yield made, canaries


def _plant_networks(paths: Paths, plant: Any) -> None:
    stored = StoredNetworks(paths.networks)
    account = Enterprise("peap", plant("account", "canary.person@example.org"), unchecked=True)
    for number, (ssid, passphrase) in enumerate(
        [("Canary Café 5G", 'canary "wifi" pässword'), ("Häuschen-Canary", "canarypass2")]
    ):
        stored.remember(
            Credentials(
                plant(f"SSID {number}", ssid).encode(),
                plant(f"Wi-Fi password {number}", passphrase),
                Security.WPA2,
                hidden=False,
                enterprise=account if number else None,
            )
        )


async def _plant_identity(made: Station, cloud: FakeCloud, plant: Any) -> None:
    card = made.device.card.current()
    plant("PIN", card.pin)
    plant("link secret", card.link_secret)
    plant("hotspot key", made.device.hotspot_key.current())
    pem = made.paths.device_key.read_text().splitlines()
    plant("device key", pem[1])
    cloud.owned = True
    credentials = from_claim(cloud.complete(), cloud.url)
    plant("device token", credentials.token)
    made.device.credentials.keep(credentials)
    wifi = {
        "wifi_name": plant("name in a file", "Boot Canary"),
        "wifi_password": plant("its key", "bootcanary"),
    }
    write_atomically(made.paths.state / "boot.json", json.dumps(wifi).encode())
    technician = {"pin": plant("a PIN of a later version", "739154"), "tries": 0}
    write_atomically(made.paths.identity / "technician.json", json.dumps(technician).encode())


async def _plant_record(made: Station, plant: Any) -> None:
    token = plant("claim token", new_claim_token())
    attempt = NetworkAttempt(plant("SSID of the try", "Nachbar Canary").encode().hex(), "NET-001", 1.0)
    error = f"NET-001: The password for {'Nachbar Canary'} was not accepted. Check it and try again."
    await made.device.journal.change(
        lambda record: replace(
            record,
            claim_token=token,
            network_attempt=attempt,
            unknown={"x": plant("unknown", "canary-later")},
        )
    )
    await made.device.journal.fail("NET-001", error)


async def _plant_buffer(made: Station, plant: Any) -> None:
    store = made.front._store
    payload = json.dumps({"secret": plant("payload", "canary-in-a-payload")}).encode()
    await store.put(Draft(kind="event", payload=payload, priority=Priority.HIGH))
    leased = await store.lease(10)
    reason = f"422 password={plant('dead reason', 'canary-in-a-reason')} refused"
    for each in leased:
        await store.nack([each.id], reason=reason, retry_in=None, permanent=True)


def _plant_log(made: Station, canaries: Canaries) -> None:
    plant, tail = canaries.plant, made.front.support_bundle.__self__._tail  # type: ignore[attr-defined]
    log = logger()
    log.addHandler(tail)
    for where, secret in list(canaries.secrets.items()):
        if where in ("payload", "dead reason", "unknown"):
            continue  # nobody can know that they are secret where they stand alone
        log.warning("%s happens to be logged: %s and %r and %r", where, secret, secret, secret.encode())
    log.warning("Authorization: Bearer %s", plant("JWT", JWT))
    log.warning("psk=%s", plant("psk", "canary-psk-in-a-line"))
    log.warning('{"password": "%s"}', plant("password of nobody", "canary-json"))
    log.warning("the PIN is %s", plant("unknown PIN", "512 907"))
    log.warning("using mct_%s", plant("foreign claim code", "C4nary" * 7))
    log.warning("joined %r", plant("forgotten SSID", "Vergessen-Canary").encode())
    log.warning("NET-002: %s is not in reach of the station.", plant("SSID in a sentence", "Garten Canary"))
    log.warning("WIFI:S:%s;T:WPA;P:%s;;", plant("QR SSID", "QrCanary"), plant("QR password", "qrcanarypass"))
    log.warning("key material %s", plant("random", "aZ3kQ9xW7vB2nM5cT8yR4uP6"))
    log.warning(
        "%s came from %s and %s",
        plant("MAC", MAC),
        plant("address", PUBLIC),
        plant("IPv6", "2a00:1450:4001::71"),
    )
    log.warning("%s", plant("MAC with dashes", MAC.replace(":", "-")))
    try:
        raise ValueError(plant("traceback", f"password={'canary-in-a-traceback'}"))
    except ValueError:
        log.exception("failed")


async def test_no_secret_leaves_the_station_in_any_form(
    tmp_path: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with planted(tmp_path, cloud, monkeypatch) as (made, canaries):
        await made.board.gather()
        files = opened(await made.front.support_bundle())
    assert len(canaries.secrets) > 25
    assert set(files) >= {
        "doctor.json",
        "status.json",
        "log.txt",
        "record.json",
        "buffer.json",
        "settings.toml",
    }
    for name, text in files.items():
        assert canaries.found_in(text) == {}, name
    whole = "\n".join(files.values())
    for secret in canaries.secrets.values():
        assert all(part not in whole.lower() for part in secret.lower().split() if "canary" in part)


async def test_the_bundle_of_a_station_still_helps(
    tmp_path: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with planted(tmp_path, cloud, monkeypatch) as (made, _):
        await made.board.gather()
        await made.front.client_seen("192.168.1.7", "page")
        files = opened(await made.front.support_bundle())
    assert json.loads(files["status.json"])["key_storage"] == "file"
    [phone] = json.loads(files["phones.json"])
    assert (phone["address"], "page" in phone) == ("192.168.1.7", True)
    findings = json.loads(files["doctor.json"])
    assert {"BUF-020"} <= {each["code"] for each in findings}
    buffer = json.loads(files["buffer.json"])
    assert (buffer["dead"], len(buffer["dead_reasons"])) == (1, 1)
    assert buffer["breakers"]["events"]["state"] == "closed"
    record = json.loads(files["record.json"])
    assert record["last_error"]["code"] == "NET-001"
    assert record["network_attempt"]["ssid_hex"].startswith("ssid-")
    assert json.loads(files["versions.json"])["python"]
    assert "meteor_state" in files["metrics.txt"]
    assert "[cloud]" in files["settings.toml"]
    for name in set(files) - {"README.txt"}:
        assert name in files["README.txt"]
    assert "joined ssid-" in files["log.txt"]
    assert re.search(r"mac-\d+ came from ip-\d and ip-\d", files["log.txt"])
    assert re.search(r"NET-002: ssid-\d+ is not in reach of the station\.", files["log.txt"])


async def test_networkmanagers_profiles_are_known_and_hidden(tmp_path: Path) -> None:
    root = tmp_path / "root"
    profile = (
        "[connection]\nid=Canary Profile\n[wifi]\nssid=67;97;110;97;114;121;\n"
        "[wifi-security]\npsk=canarypsk\n"
        "[802-1x]\nidentity=canary@example.org\npassword=canarysecret\n"
    )
    write(root, {"etc/NetworkManager/system-connections/x.nmconnection": profile})
    redactor = look(Settings(), {}, root=root).redactor()
    said = redactor.text("Canary Profile, Canary, canarypsk, canary@example.org, canarysecret")
    assert said == f"ssid-1, ssid-2, {HIDDEN}, {HIDDEN}, {HIDDEN}"


# --- stand-ins ----------------------------------------------------------------------------------------------


def test_the_same_has_the_same_stand_in_and_another_another() -> None:
    hide = Redactor(ssids=[b"Home", b"Home-5G"]).text
    assert hide("Home-5G then Home then Home-5G") == "ssid-2 then ssid-1 then ssid-2"
    assert hide(f"{MAC} {MAC.upper()} {MAC.replace(':', '-')} 00:11:22:33:44:55") == "mac-1 mac-1 mac-1 mac-2"
    assert hide("1.1.1.1 9.9.9.9 1.1.1.1") == "ip-1 ip-2 ip-1"


def test_a_short_name_does_not_tear_words_apart() -> None:
    assert Redactor(ssids=[b"a"]).text("a station and 'a'") == "ssid-1 station and 'ssid-1'"


KEPT = [
    "192.168.1.40 answered after 3 ms",
    "127.0.0.1 and ::1 are this machine",
    "12:00:00 INFO power_on: uninitialized → initializing",
    "2026-11-26T17:28:08.123Z version 0.1.0, Python 3.13.5",
    "dev_01M7X9HY9RFSGZNAR9FMFH6AT8 is registered, MID_4adaaae2a4923868",
    "meteor_buffer_waiting_messages 12",
    "The password for ssid-1 was not accepted.",
    "NET-003: the network let the station in but gave it no address (DHCP).",
]


@pytest.mark.parametrize("line", KEPT)
def test_what_helps_and_is_no_secret_is_kept(line: str) -> None:
    assert Redactor().text(line) == line


LEAKS = [
    "-----BEGIN EC PRIVATE KEY-----\nabc\nCANARY\n-----END EC PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nCANARY and then it was cut",
    "http://user:CANARY@host/",
    "wpa_passphrase: CANARY",
    "API_KEY = CANARY",
    "x-secret-header: CANARY",
    "http://check/health?session=CANARY&x=1",
    "token=CANARY;next",
]


@pytest.mark.parametrize("text", LEAKS)
def test_what_looks_secret_is_hidden_although_nobody_knows_it(text: str) -> None:
    assert "CANARY" not in Redactor().text(text)


def test_fields_with_a_secrets_name_are_hidden_whole() -> None:
    told = {"pin": "1234", "claim_token": "x", "psk": ["a"], "on": {"password": "p", "password_set": True}}
    hidden = Redactor().value(told)
    assert hidden == {
        "pin": HIDDEN,
        "claim_token": HIDDEN,
        "psk": HIDDEN,
        "on": {"password": HIDDEN, "password_set": True},
    }


# --- bounds -------------------------------------------------------------------------------------------------


def noise(lines: int) -> Iterator[str]:
    """What cannot be compressed and looks like no secret."""
    letters, drawn = "abcdefghijklmnopqrstuvwxyz0123456789 .,;", random.Random(7)
    for _ in range(lines):
        yield "".join(drawn.choices(letters, k=400))


def test_a_bundle_is_never_larger_than_it_may_be(tmp_path: Path) -> None:
    material = Material(
        settings=Settings(network=NetworkSection(scenario="x" * 500_000)),
        findings=[{"sentence": line} for line in noise(2000)],
        status={"log": list(noise(2000))},
        metrics="\n".join(noise(2000)),
        log=list(noise(9000)),
        phones=[{"address": line} for line in noise(2000)],
    )
    packed = pack(material, Redactor(), 1_800_000_000.0)
    assert len(packed) <= MOST_BYTES
    files = opened(packed)
    assert files["log.txt"].endswith(material.log[-1] + "\n")  # type: ignore[index]
    assert "left_out" in json.loads(files["doctor.json"])


def test_the_history_keeps_tracebacks_and_is_bounded() -> None:
    tail = Tail()
    log = logger()
    log.addHandler(tail)
    try:
        raise ValueError("here")
    except ValueError:
        log.exception("failed")
    assert any("ValueError: here" in line for line in tail.history)
    assert all("Traceback" not in line for line in tail.lines)
    for number in range(HISTORY + 10):
        log.warning("%d", number)
    assert len(tail.history) == HISTORY


def test_a_long_line_is_cut_between_words_so_that_no_half_secret_is_left() -> None:
    tail = Tail()
    log = logger()
    log.addHandler(tail)
    log.warning("%s %s", "x" * (LONGEST - 25), "canary-secret-that-is-cut")
    assert "canary" not in tail.history[-1]


def test_a_bundle_of_nothing_still_says_what_it_is(tmp_path: Path) -> None:
    files = opened(pack(Material(settings=patient(tmp_path).settings, findings=[]), Redactor(), 0.0))
    assert set(files) == {"README.txt", "doctor.json", "settings.toml", "versions.json"}
    assert "1970-01-01" in files["README.txt"]
