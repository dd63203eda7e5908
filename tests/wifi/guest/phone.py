"""A phone: wpa_supplicant on a simulated radio, DHCP, and the probes by which each maker's phones decide."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass

from tests.namespaces import Namespace
from tests.visitor import AAAA, A, Visitor, eventually
from tests.wifi.guest.radios import FOLDER, OTHERS

PATIENCE_S = 120.0
CHANNELS = "2412 2437 2462"
"""Where a hotspot can be. A phone with many channels takes longer, which is not the station's doing."""


_SILENCE = (
    "table netdev silence { chain out { type filter hook egress device %s priority 0; "
    "ether type 0x888e drop; }; }"
)


class Phone(Visitor):
    """Comes back by itself to a network that it knows, as all phones do."""

    def __init__(self, name: str = "phone") -> None:
        super().__init__(Namespace(name), OTHERS[name], FOLDER)
        self.name = name
        self._kept = FOLDER / f"{name}.json"
        if self._kept.exists():
            self.lease = json.loads(self._kept.read_text())

    def know(self, ssid: str, passphrase: str, *, silent: bool = False) -> None:
        """The network is stored in the phone, which looks for it from now on.

        A `silent` one answers no key exchange, until it `speaks`: to the station it is as one whose radio or
        ours loses the frames.
        """
        conf = FOLDER / f"{self.name}.conf"
        conf.write_text(
            f"ctrl_interface={FOLDER / self.name}\nap_scan=1\n"
            f'network={{\n ssid="{ssid}"\n psk="{passphrase}"\n key_mgmt=WPA-PSK\n'
            f" scan_freq={CHANNELS}\n freq_list={CHANNELS}\n}}\n"
        )
        log = FOLDER / f"{self.name}.log"
        driver: tuple[str, ...] = ()
        if silent:  # EAPOL through the interface and not past it, so that the filter sees it
            driver = ("-D", "nl80211", "-p", "control_port=0")
            self.space.run("nft", _SILENCE % self.interface)
        self.space.run("wpa_supplicant", "-B", "-t", "-i", self.interface, "-c", conf, "-f", log, *driver)

    def speaks(self) -> None:
        """From now on its answers leave it."""
        self.space.run("nft", "delete table netdev silence")

    def associated(self) -> bool:
        """Whether the key exchange is done, as the end of the supplicant's log has it."""
        said = (FOLDER / f"{self.name}.log").read_text(errors="replace")
        return said.rfind("CTRL-EVENT-CONNECTED") > said.rfind("CTRL-EVENT-DISCONNECTED")

    def thrown_out(self) -> int:
        """How often the network was left before the key exchange was done."""
        said = (FOLDER / f"{self.name}.log").read_text(errors="replace")
        return said.count("4-Way Handshake failed")

    def wait_associated(self) -> None:
        eventually(self.associated, f"{self.name} is on the hotspot", PATIENCE_S)

    def wait_gone(self) -> None:
        eventually(lambda: not self.associated(), f"{self.name} loses the hotspot", PATIENCE_S)

    def ask_for_address(self) -> dict[str, str]:
        lease = super().ask_for_address()
        self._kept.write_text(json.dumps(lease))
        return lease

    def hears(self) -> list[str]:
        """What is in the air: name and protection of each network."""
        said = self.space.run("iw", "dev", self.interface, "scan", check=False)
        blocks = re.split(r"^BSS ", said, flags=re.MULTILINE)[1:]  # within one there is "OBSS", too
        return [" ".join(block.split()) for block in blocks]


@dataclass(frozen=True, slots=True)
class Maker:
    """How the phones of one maker ask whether they are online, and what they take for yes."""

    name: str
    probe: str
    yes_status: int
    yes_body: bytes
    agent: str
    strict_addresses: bool = False


MAKERS = (
    Maker(
        "ios",
        "http://captive.apple.com/hotspot-detect.html",
        200,
        b"Success",
        "CaptiveNetworkSupport-481.0.1 wispr",
    ),
    Maker(
        "android",
        "http://connectivitycheck.gstatic.com/generate_204",
        204,
        b"",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        strict_addresses=True,
    ),
    Maker(
        "windows",
        "http://www.msftconnecttest.com/connecttest.txt",
        200,
        b"Microsoft Connect Test",
        "Microsoft NCSI",
    ),
)


def led_to_the_page(phone: Phone, maker: Maker) -> str:
    """Asks as the maker's phones do; the address of the page that opens. Fails where no page would."""
    host = maker.probe.split("/")[2]
    found = phone.resolve(host, A)
    assert found.addresses, f"{maker.name}: no address for {host}"
    if maker.strict_addresses:
        # AOSP NetworkMonitor with the private-address rule on: no page, only "no internet".
        for address in (*found.addresses, *phone.resolve(host, AAAA).addresses):
            assert not _is_site_local(address), f"{maker.name} distrusts {address}"
        assert phone.knock(found.addresses[0], 443) == "refused", "the parallel https probe must fail at once"
    headers, status, body = phone.fetch(maker.probe, headers={"User-Agent": maker.agent})
    online = status == maker.yes_status and maker.yes_body in body
    assert not online, f"{maker.name} believes that it is online"
    assert status in (302, 307), f"{maker.name}: {status} opens no page"
    assert headers["Cache-Control"] == "no-store"
    if maker.name == "windows":
        headers, status, _ = phone.fetch("http://www.msftconnecttest.com/redirect")
        assert status == 302, "Windows opens /redirect in the browser"
    page = phone.open(headers["Location"])
    assert page.status == 200
    return page.url


def _is_site_local(address: str) -> bool:
    """What Java's isSiteLocalAddress and isLinkLocalAddress, and ULA, mean for Android."""
    ip = ipaddress.ip_address(address)
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
    return any(
        ip in ipaddress.ip_network(each) for each in private if ip.version == (6 if ":" in each else 4)
    )
