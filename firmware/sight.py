"""What the board can tell of radios, cameras, links and its supply. All is read below a root folder."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_NO_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "rpivid", "rpi-hevc", "hevc_dec", "pispbe", "rpi-isp")
"""Video devices of a Raspberry Pi that code, decode and scale, and see nothing."""

_RECEIVERS = ("unicam", "rp1-cfe")
"""What a sensor on the ribbon cable sends to: it is there when a sensor is, and does not say which."""

_SENSOR = re.compile(r"(?P<name>\w+) (?P<bus>[0-9]+-[0-9a-f]{4}|i2c-\S+)")
"""How the kernel names a chip on a camera's bus, `imx477 10-001a`; converters on the way have other names."""

_LENSES = ("dw97", "dw98", "ak73", "ad5", "lm35", "lm36")
"""Chips that focus or flash beside a sensor."""

_UNDERVOLTAGE = "rpi_volt"
"""The name of drivers/hwmon/raspberrypi-hwmon.c, which asks the firmware every two seconds."""


@dataclass(frozen=True, slots=True)
class Radio:
    """One Wi-Fi interface; `blocked` when a switch (rfkill) keeps it silent."""

    interface: str
    blocked: bool


def radios(root: Path = Path("/")) -> tuple[Radio, ...]:
    """All Wi-Fi interfaces in order of their names."""
    folder = root / "sys/class/net"
    found = sorted(path for path in _inside(folder) if (path / "phy80211").exists())
    return tuple(Radio(path.name, _is_blocked(path / "phy80211")) for path in found)


def _is_blocked(phy: Path) -> bool:
    return any(
        _text(switch / kind) == "1"
        for switch in _inside(phy)
        if switch.name.startswith("rfkill")
        for kind in ("soft", "hard")
    )


def cameras(root: Path = Path("/")) -> tuple[str, ...]:
    """The names of cameras at this computer, each once. Cameras on the network are not seen here.

    A sensor on the ribbon cable counts by its own name; by its receiver's where the kernel names no sensor.
    """
    return camera_models(root) or tuple(name for name in _videos(root) if name.startswith(_RECEIVERS))


def camera_models(root: Path = Path("/")) -> tuple[str, ...]:
    """What the cameras at this computer are, ribbon cable before USB; without those of an unknown kind."""
    found = [_SENSOR.fullmatch(name) for name in _names(root, "v4l-subdev")]
    sensors = [each["name"] for each in found if each and not each["name"].startswith(_LENSES)]
    return tuple(
        dict.fromkeys([*sensors, *(name for name in _videos(root) if not name.startswith(_RECEIVERS))])
    )


def _videos(root: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for n in _names(root, "video") if not n.startswith(_NO_CAMERAS)))


def _names(root: Path, kind: str) -> Iterator[str]:
    for path in sorted(_inside(root / "sys/class/video4linux")):
        if path.name.startswith(kind) and (name := _text(path / "name")):
            yield name


def signal_dbm(interface: str, root: Path = Path("/")) -> float | None:
    """How strongly a Wi-Fi interface hears its access point; None for a cable, or where nobody tells."""
    level = rf"^\s*{re.escape(interface)}:\s+\S+\s+\S+\s+(-\d+)\b"
    found = re.search(level, _text(root / "proc/net/wireless") or "", re.MULTILINE)
    return float(found[1]) if found else None


def link_kind(interface: str, root: Path = Path("/")) -> Literal["wifi", "ethernet", "cellular"]:
    """What kind of way an interface is. Whatever is neither a radio nor a modem counts as a cable."""
    folder = root / "sys/class/net" / interface
    if (folder / "phy80211").exists() or (folder / "wireless").exists():
        return "wifi"
    if "DEVTYPE=wwan" in (_text(folder / "uevent") or "").split():
        return "cellular"
    by_name: dict[str, Literal["wifi", "cellular"]] = {"wl": "wifi", "ww": "cellular", "pp": "cellular"}
    return by_name.get(interface[:2], "ethernet")


def undervoltage(root: Path = Path("/")) -> bool | None:
    """Whether the supply was too weak in the last two seconds; None where the board does not tell."""
    for path in sorted(_inside(root / "sys/class/hwmon")):
        if _text(path / "name") == _UNDERVOLTAGE:
            alarm = _text(path / "in0_lcrit_alarm")
            return None if alarm is None else alarm == "1"
    return None


def _inside(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip("\0 \t\r\n") or None
    except OSError:
        return None
