"""The house's router: hostapd on a simulated radio, addresses and names, and whatever is behind it."""

from __future__ import annotations

import http.server
import subprocess
import sys
from pathlib import Path

from tests.namespaces import Namespace
from tests.visitor import eventually
from tests.wifi.guest.radios import FOLDER

SSID = "Home"
PASSWORD = "correct horse battery"
ADDRESS = "192.168.50.1"
CLOUD_NAME, CLOUD_PORT = "cloud.test", 8000
NOWHERE = "192.168.66.6"
"""An address that the router takes packets for and loses them."""

_PROTECTION = {
    "open": "",
    "wpa2": "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase={password}\n",
    "wpa3": "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password={password}\nsae_pwe=2\n",
    "mixed": "wpa=2\nwpa_key_mgmt=WPA-PSK SAE\nrsn_pairwise=CCMP\nieee80211w=1\n"
    "wpa_passphrase={password}\nsae_password={password}\nsae_pwe=2\n",
}


class Router:
    """Off until `switch_on`. Its namespace has no other way to anywhere."""

    interface = "wlan2"

    def __init__(self) -> None:
        self.space = Namespace("router")
        self._programs: list[subprocess.Popen[bytes]] = []
        self._hostapd: subprocess.Popen[bytes] | None = None

    def switch_on(
        self,
        protection: str = "wpa2",
        *,
        ssid: str = SSID,
        password: str = PASSWORD,
        hidden: bool = False,
        addresses: bool = True,
        cloud: str = ADDRESS,
    ) -> None:
        """`cloud` is where its name server says that the cloud is."""
        self.air(protection, ssid=ssid, password=password, hidden=hidden)
        self._serve(addresses, cloud)

    def wire(self) -> None:
        """Its own address, at which the cloud can listen before the radio is on."""
        self.space.ip("addr", "replace", f"{ADDRESS}/24", "dev", self.interface)
        self.space.ip("route", "replace", "blackhole", NOWHERE)

    def air(
        self, protection: str = "wpa2", *, ssid: str = SSID, password: str = PASSWORD, hidden: bool = False
    ) -> None:
        """The radio alone."""
        conf, log = FOLDER / "hostapd.conf", FOLDER / "hostapd.log"
        conf.write_text(
            f"interface={self.interface}\ndriver=nl80211\nssid={ssid}\nhw_mode=g\nchannel=6\n"
            f"ieee80211n=1\nignore_broadcast_ssid={int(hidden)}\n"
            + _PROTECTION[protection].format(password=password)
        )
        log.unlink(missing_ok=True)
        self._hostapd = self.space.popen("hostapd", "-t", conf, log=log)
        eventually(lambda: "AP-ENABLED" in log.read_text(), "the router is in the air")

    def switch_off_air(self) -> None:
        """As a router that loses power: its stations hear nothing more."""
        assert self._hostapd is not None
        self._hostapd.kill()
        self._hostapd.wait()
        self.space.ip("link", "set", self.interface, "down")

    def _serve(self, addresses: bool, cloud: str) -> None:
        command = [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--no-resolv"),
            *("--no-hosts", f"--interface={self.interface}", "--bind-dynamic", "--log-facility=-"),
            f"--address=/{CLOUD_NAME}/{cloud}",
        ]
        if addresses:
            command += [
                "--dhcp-range=192.168.50.10,192.168.50.99,1h",
                f"--dhcp-leasefile={FOLDER / 'router.leases'}",
            ]
        self._programs.append(self.space.popen(*command, log=FOLDER / "router.log"))
        eventually(lambda: ":53 " in self.space.run("ss", "-Hlun"), "the router answers names")

    def login_page(self) -> None:
        """Another program than the cloud answers at the cloud's port, as a hotel's network does."""
        self._programs.append(
            self.space.popen(
                *("env", "-C", Path(__file__).parents[3], sys.executable, "-m", __name__),
                log=FOLDER / "login.log",
            ),
        )
        eventually(lambda: f":{CLOUD_PORT} " in self.space.run("ss", "-Hltn"), "the login page answers")


class _LoginPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://{ADDRESS}/login")
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", CLOUD_PORT), _LoginPage).serve_forever()
