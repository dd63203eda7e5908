"""Radios, cameras and undervoltage, from the files of real kinds of machines."""

from __future__ import annotations

from pathlib import Path

from firmware.sight import Radio, cameras, radios, undervoltage
from tests.firmware.boards import write


def test_a_machine_without_anything_tells_nothing(tmp_path: Path) -> None:
    assert (radios(tmp_path), cameras(tmp_path), undervoltage(tmp_path)) == ((), (), None)


def test_a_radio_is_told_from_a_cable(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/net", {"eth0/address": "", "wlan0/phy80211/macaddress": ""})
    assert radios(tmp_path) == (Radio("wlan0", blocked=False),)


def test_a_radio_that_a_switch_keeps_silent_is_blocked(tmp_path: Path) -> None:
    phy = tmp_path / "sys/class/net/wlan0/phy80211"
    write(phy, {"rfkill3/soft": "0\n", "rfkill3/hard": "0\n"})
    assert radios(tmp_path) == (Radio("wlan0", blocked=False),)
    for kind in ("soft", "hard"):
        write(phy, {f"rfkill3/{kind}": "1\n"})
        assert radios(tmp_path) == (Radio("wlan0", blocked=True),)
        write(phy, {f"rfkill3/{kind}": "0\n"})


def test_cameras_are_told_from_coders(tmp_path: Path) -> None:
    names = ("bcm2835-codec-decode", "imx290", "pispbe-input", "USB Camera", "USB Camera")
    write(tmp_path / "sys/class/video4linux", {f"video{n}/name": f"{name}\n" for n, name in enumerate(names)})
    assert cameras(tmp_path) == ("imx290", "USB Camera")


def test_undervoltage_is_what_the_firmware_says(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/hwmon", {"hwmon0/name": "cpu_thermal\n", "hwmon1/name": "rpi_volt\n"})
    assert undervoltage(tmp_path) is None
    for alarm, low in (("0\n", False), ("1\n", True)):
        write(tmp_path / "sys/class/hwmon/hwmon1", {"in0_lcrit_alarm": alarm})
        assert undervoltage(tmp_path) is low
