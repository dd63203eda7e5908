"""The station in the guest: the product as a service, with Debian's libraries, on the real NetworkManager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from scripts.processes import UnixConnection
from tests.namespaces import output, run
from tests.visitor import eventually
from tests.wifi.guest.router import CLOUD_NAME, CLOUD_PORT

PROJECT = Path("/srv/project")
DATA = Path("/var/lib/meteor")
LOG = Path("/srv/station.log")
PATIENCE_S = 180.0

_CONFIG = f"""
[device]
data_dir = "{DATA}"

[cloud]
url = "http://{CLOUD_NAME}:{CLOUD_PORT}"
allow_plain_http = true

[network]
backend = "networkmanager"

[sources]
settle_seconds = 0.5
"""
_UNIT = f"""
[Unit]
Description=Meteor appliance under test
After=NetworkManager.service

[Service]
Type=notify
TimeoutStartSec=300
ExecStart=/usr/bin/python3 -m appliance run
WorkingDirectory={PROJECT}
StandardOutput=append:{LOG}
StandardError=append:{LOG}
Restart=always

[Install]
WantedBy=multi-user.target
"""


class Station:
    """One service; its data folder is empty until it starts first."""

    def install(self) -> None:
        """Settings and service; nothing is started."""
        config = Path("/etc/meteor-appliance/config.toml")
        config.parent.mkdir(exist_ok=True)
        config.write_text(_CONFIG)
        Path("/etc/systemd/system/meteor-appliance.service").write_text(_UNIT)
        run("systemctl", "daemon-reload")

    def start(self) -> None:
        """Returns at once."""
        run("systemctl", "start", "--no-block", "meteor-appliance")

    def start_with_the_machine(self) -> None:
        """From now on every boot starts it."""
        run("systemctl", "enable", "meteor-appliance")

    def text(self) -> str:
        """Its log."""
        return LOG.read_text(errors="replace") if LOG.exists() else ""

    def status(self) -> dict[str, Any]:
        """What `status --json` says, or nothing while it does not answer."""
        connection = UnixConnection(DATA / "run/control.sock")
        try:
            connection.request("GET", "/status")
            facts: dict[str, Any] = msgspec.json.decode(connection.getresponse().read())
        except OSError:
            return {}
        finally:
            connection.close()
        return facts

    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return sum(row["count"] for row in self.status().get("backlog", {}).get("waiting", []))

    def wait_for(self, *states: str, seconds: float = PATIENCE_S) -> None:
        """Until it is in one of these states."""
        eventually(
            lambda: self.status().get("state") in states,
            f"the station reaches {states}, it is in {self.status().get('state')}",
            seconds,
        )

    def wait_verdict(self, code: str) -> None:
        """Until an attempt has ended with this code."""
        eventually(lambda: f"joining failed: {code}" in self.text(), f"the verdict {code}", PATIENCE_S)

    def hotspot(self) -> tuple[str, str]:
        """Name and key, as the card beside the station has them."""
        eventually(lambda: "hotspot started: " in self.text(), "the hotspot opens", PATIENCE_S)
        ssid = self.text().rpartition("hotspot started: ")[2].split()[0]
        return ssid, (DATA / "identity/hotspot.key").read_text()

    def card(self) -> dict[str, str]:
        """Short id and PIN."""
        eventually(lambda: self.status().get("card"), "the card shows")
        card: dict[str, str] = self.status()["card"]
        return card

    def drop(self, number: int) -> None:
        """An event of a camera program, into the spool as the contract asks."""
        event = {
            "client_event_id": f"test:{number}",
            "event_type": "meteor",
            "timestamp": f"2026-01-01T00:00:{number % 60:02d}Z",
            "confidence": 0.9,
        }
        spool = DATA / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        temporary = spool / f"{number}.json.tmp"
        temporary.write_bytes(msgspec.json.encode(event))
        temporary.rename(spool / f"{number}.json")

    def spooled(self) -> set[str]:
        """What still lies in the spool."""
        return {path.name for path in (DATA / "spool").iterdir()}

    def evidence(self) -> str:
        """The ends of all logs, for a test that failed."""
        journal = output(
            "journalctl", "-u", "NetworkManager", "-u", "wpa_supplicant", "-n", "60", "-o", "cat"
        )
        shown = {"station": self.text()[-5000:], "NetworkManager": journal[-5000:]}
        world = Path("/srv/world")
        shown |= {path.name: path.read_text(errors="replace")[-1500:] for path in world.glob("*.log")}
        shown["air"] = output("sh", "-c", "iw dev; nmcli dev; ip -br addr; nft list ruleset")[-3000:]
        return "\n".join(f"--- {name}\n{text}" for name, text in shown.items())
