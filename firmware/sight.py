"""What the board can tell a doctor: radios, cameras, undervoltage. Everything is read below a root folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "rpivid", "rpi-hevc", "hevc_dec", "pispbe", "rpi-isp")
"""Video devices of a Raspberry Pi that code, decode and scale, and see nothing."""

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
    """The names of cameras at this computer, each once. Cameras on the network are not seen here."""
    names = (_text(path / "name") for path in sorted(_inside(root / "sys/class/video4linux")))
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith(_NO_CAMERAS)))


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
