"""Radios, cameras and undervoltage, from the files of real kinds of machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.sight import Radio, camera_models, cameras, link_kind, radios, signal_dbm, undervoltage
from tests.firmware.boards import BOARDS, WIRELESS, add_videos, write


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


@pytest.mark.parametrize(
    ("board", "seen"),
    [
        ("pi_3", ()),
        ("pi_zero_2", ("imx290",)),
        ("pi_4", ("HD Pro Webcam C920",)),
        ("pi_5", ("imx708",)),
        ("x86", ("UVC Camera (046d:0825)",)),
        ("container", ()),
    ],
)
def test_a_sensor_is_told_from_its_receiver_and_its_lens(
    board: str, seen: tuple[str, ...], tmp_path: Path
) -> None:
    BOARDS[board](tmp_path)
    assert (cameras(tmp_path), camera_models(tmp_path)) == (seen, seen)


def test_a_receiver_without_a_named_sensor_is_a_camera_of_an_unknown_kind(tmp_path: Path) -> None:
    add_videos(tmp_path, video0="unicam")
    assert (cameras(tmp_path), camera_models(tmp_path)) == (("unicam",), ())


def test_a_signal_is_told_in_dbm_where_the_kernel_tells_it(tmp_path: Path) -> None:
    assert signal_dbm("wlan0", tmp_path) is None
    write(tmp_path, {"proc/net/wireless": WIRELESS})
    assert signal_dbm("wlan0", tmp_path) == -56
    assert signal_dbm("wlan", tmp_path) is None
    for nonsense in ("", "wlan0: 0000 54. 0. 0\n", "\xff\xfe", "wlan0:\n"):
        write(tmp_path, {"proc/net/wireless": nonsense})
        assert signal_dbm("wlan0", tmp_path) is None


@pytest.mark.parametrize(
    ("interface", "files", "kind"),
    [
        ("wlx00", {"phy80211/macaddress": ""}, "wifi"),
        ("up", {"phy80211/macaddress": ""}, "wifi"),
        ("wlan0", {}, "wifi"),
        ("enx1", {"uevent": "DEVTYPE=wwan\nINTERFACE=enx1\n"}, "cellular"),
        ("wwan0", {}, "cellular"),
        ("ppp0", {}, "cellular"),
        ("eth0", {"uevent": "INTERFACE=eth0\n"}, "ethernet"),
        ("br0", {}, "ethernet"),
    ],
)
def test_a_link_is_of_one_kind(interface: str, files: dict[str, str], kind: str, tmp_path: Path) -> None:
    write(tmp_path / "sys/class/net" / interface, {**files})
    assert link_kind(interface, tmp_path) == kind


def test_undervoltage_is_what_the_firmware_says(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/hwmon", {"hwmon0/name": "cpu_thermal\n", "hwmon1/name": "rpi_volt\n"})
    assert undervoltage(tmp_path) is None
    for alarm, low in (("0\n", False), ("1\n", True)):
        write(tmp_path / "sys/class/hwmon/hwmon1", {"in0_lcrit_alarm": alarm})
        assert undervoltage(tmp_path) is low
