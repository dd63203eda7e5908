"""Whether a radio can do WPA3, as its driver tells, and what the station offers to one that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.network.heard import networks
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.networkmanager.joining import refuse_wpa3
from appliance.network.networkmanager.profiles import KeyManagement, ways_in
from appliance.network.port import Credentials, JoinFailed, Security
from appliance.network.sae import RadioSae, Sae, sae_in
from appliance.network.verdict import NO_WPA3


def phy(*told: str, ciphers: str = "* CMAC (00-0f-ac:6)") -> str:
    """The lines of `iw phy` that matter; the rest of it says nothing of WPA3."""
    lines = ("Supported Ciphers:", "\t* CCMP-128 (00-0f-ac:4)", "\t" + ciphers, "Supported commands:", *told)
    return "Wiphy phy0\n" + "".join(f"\t{line}\n" for line in lines)


BY_SUPPLICANT = "Device supports SAE with AUTHENTICATE command"
OFFLOADED = "\t* [ SAE_OFFLOAD ]: SAE offload support"
OFFLOADED_AP = "\t* [ SAE_OFFLOAD_AP ]: AP mode SAE authentication offload support"
HANDSHAKE = "\t* [ 4WAY_HANDSHAKE_STA_PSK ]: 4-way handshake with PSK in station mode"

# Put together from public reports, not read from boards: the firmware's version names "sae" or "extsae", or
# neither (RPi-Distro/firmware-nonfree#41 and its pull request 46, raspberrypi/linux#7610).
RADIOS = [
    ("mac80211_hwsim", phy(BY_SUPPLICANT), Sae.CAN),
    ("Pi 3B+, 4 and 5, firmware with extsae", phy(HANDSHAKE, BY_SUPPLICANT), Sae.CAN),
    ("Pi 3B+, 4 and 5, firmware with sae", phy(HANDSHAKE, OFFLOADED, OFFLOADED_AP), Sae.PERHAPS),
    ("Pi Zero 2 W, firmware with sae", phy(OFFLOADED), Sae.PERHAPS),
    ("Pi 5, firmware of 2021 without sae", phy(HANDSHAKE), Sae.CANNOT),
    ("Pi 400", phy(), Sae.CANNOT),
    ("only an access point does it", phy(OFFLOADED_AP), Sae.CANNOT),
    ("no protected management frames", phy(BY_SUPPLICANT, ciphers="* WEP40 (00-0f-ac:1)"), Sae.CANNOT),
    ("cut off", phy(HANDSHAKE).partition("Supported commands")[0], Sae.PERHAPS),
    ("nothing", "", Sae.PERHAPS),
]


@pytest.mark.parametrize(("text", "can"), [each[1:] for each in RADIOS], ids=[each[0] for each in RADIOS])
def test_only_a_clear_no_of_the_radio_counts(text: str, can: Sae) -> None:
    assert sae_in(text) is can


async def test_a_radio_is_looked_at_once_and_where_nobody_can_look_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = RadioSae()
    monkeypatch.setattr("appliance.network.iw.program", lambda: None)
    assert await look.look("wlan0") is Sae.PERHAPS
    made = tmp_path / "iw"
    (tmp_path / "dev").write_text("Interface wlan0\n\twiphy 3\n")
    (tmp_path / "phy").write_text(phy())
    made.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n'
        f'case "$*" in "dev wlan0 info") cat {tmp_path}/dev;; "phy#3 info") cat {tmp_path}/phy;; esac\n'
    )
    made.chmod(0o755)
    monkeypatch.setattr("appliance.network.iw.program", lambda: str(made))
    for _ in range(3):
        assert await look.look("wlan0") is Sae.CANNOT
    assert (tmp_path / "asked").read_text().splitlines() == ["dev wlan0 info", "phy#3 info"]


def point(security: Security, signal: int = 50, *, mixed: bool = False) -> AccessPoint:
    psk, sae = security is Security.WPA2, security is Security.WPA3 or mixed
    return AccessPoint(b"Home", signal, 2412, security, psk=psk, sae=sae)


def wanted(security: Security = Security.WPA2) -> Credentials:
    return Credentials(b"Home", "long enough", security, False)


def test_a_network_of_wpa3_alone_is_beyond_a_radio_that_cannot_and_no_other_is() -> None:
    [alone] = networks([point(Security.WPA3), point(Security.OPEN, 90)], (), sae=False)
    assert alone.beyond and alone.security is Security.WPA3, "an open twin does not stand for it"
    [some] = networks([point(Security.WPA3, 90), point(Security.WPA2)], (), sae=False)
    assert not some.beyond and some.security is Security.WPA2
    assert not networks([point(Security.WPA3)], ())[0].beyond


def test_a_mixed_network_is_joined_as_plain_wpa2_at_once() -> None:
    mixed = [point(Security.WPA2, mixed=True)]
    assert ways_in(wanted(), mixed, sae=False) == [KeyManagement.PSK_ONLY]
    assert ways_in(wanted(), [], sae=False) == [KeyManagement.PSK]
    refuse_wpa3(wanted(), mixed)


@pytest.mark.parametrize(
    ("security", "points"),
    [(Security.WPA2, [point(Security.WPA3)]), (Security.WPA3, [point(Security.WPA3)]), (Security.WPA3, [])],
)
def test_what_asks_for_wpa3_alone_is_refused_with_the_remedy(
    security: Security, points: list[AccessPoint]
) -> None:
    with pytest.raises(JoinFailed, match="mixed mode") as refused:
        refuse_wpa3(wanted(security), points)
    assert refused.value.code == NO_WPA3
