"""What the machine says about itself: model, serials, memory, addresses, disk; identity is made elsewhere.

Everything is read below a root folder, so that the files of any board can stand in for it. What is missing,
unreadable or nonsense is None or absent, never a failure. What names the machine and may not be read is
listed in `closed`, so that nobody takes it for missing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CPUINFO = "proc/cpuinfo"
MACHINE_ID = "etc/machine-id"
DEVICE_TREE = ("proc/device-tree", "sys/firmware/devicetree/base")
DMI = "sys/class/dmi/id"

_NONSENSE = re.compile(
    r"|none|null|n/?a|unknown|default string|to be filled by o\.?e\.?m\.?"
    r"|not (specified|available|applicable)"
    r"|(system|base ?board|chassis) serial number"
    r"|invalid|oem|(?P<same>.)(?P=same)*|0?123456789(abcdef)?0?",
    re.IGNORECASE,
)
"""Serials that makers forgot to set: empty, place holders, one repeated character, digits in a row."""


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """One network interface's hardware address, as `aa:bb:cc:dd:ee:ff`.

    `permanent` means that it was burnt into the hardware: not virtual, not random, not set by software.
    """

    interface: str
    address: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Board:
    """The machine. `memory_bytes` counts what the kernel can use, which is less than what is soldered in."""

    model: str | None = None
    cpu_serial: str | None = None
    board_serial: str | None = None
    revision: str | None = None
    memory_bytes: int | None = None
    addresses: tuple[NetworkAddress, ...] = ()
    disk_uuid: str | None = None
    machine_id: str | None = None
    hostname: str | None = None
    closed: tuple[str, ...] = ()
    """Those of `CPUINFO` and `MACHINE_ID` that are there and refuse to be read."""

    @property
    def mac_addresses(self) -> tuple[str, ...]:
        """The permanent addresses, sorted, so that the order of the interfaces means nothing."""
        return tuple(sorted({each.address for each in self.addresses if each.permanent}))


def read_board(root: Path = Path("/")) -> Board:
    """The machine whose files are below `root`."""
    return Board(
        model=_model(root),
        cpu_serial=_cpu_serial(root),
        board_serial=_board_serial(root),
        revision=_cpuinfo(root, "Revision") or _dmi_revision(root),
        memory_bytes=_memory(root),
        addresses=tuple(_addresses(root)),
        disk_uuid=_disk_uuid(root),
        machine_id=_machine_id(root),
        hostname=_text(root / "proc/sys/kernel/hostname") or _text(root / "etc/hostname"),
        closed=tuple(name for name in (CPUINFO, MACHINE_ID) if _is_closed(root / name)),
    )


def _is_closed(path: Path) -> bool:
    try:
        path.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _text(path: Path) -> str | None:
    """The file as one stripped text; device tree files end in a zero byte."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n") or None
    except OSError:
        return None


def _serial(text: str | None) -> str | None:
    """The serial unless its maker forgot to set it."""
    return None if text is None or _NONSENSE.fullmatch(text.strip()) else text.strip()


def _first(root: Path, folders: tuple[str, ...], name: str) -> str | None:
    return next((found for folder in folders if (found := _text(root / folder / name))), None)


def _cpuinfo(root: Path, key: str) -> str | None:
    """The value of the last line `key : value`: the board's own lines follow those of its processors."""
    found = re.findall(rf"^{key}\s*:\s*(.+)$", _text(root / CPUINFO) or "", re.MULTILINE)
    return found[-1].strip() if found else None


def _model(root: Path) -> str | None:
    tree = _first(root, DEVICE_TREE, "model") or _cpuinfo(root, "Model")
    if tree:
        return tree
    maker, product = _serial(_text(root / DMI / "sys_vendor")), _serial(_text(root / DMI / "product_name"))
    return " ".join(part for part in (maker, product) if part) or None


def _cpu_serial(root: Path) -> str | None:
    """Eight to sixteen hexadecimal digits, in lower case and filled up to sixteen."""
    serial = _serial(_cpuinfo(root, "Serial"))
    if serial is None or not re.fullmatch(r"[0-9a-fA-F]{8,16}", serial):
        return None
    padded = serial.lower().zfill(16)
    return None if _NONSENSE.fullmatch(padded.lstrip("0")) else padded


def _board_serial(root: Path) -> str | None:
    """The board's serial; on a PC only root may read it."""
    named = (_first(root, DEVICE_TREE, "serial-number"), *(_text(root / DMI / name) for name in _DMI_SERIALS))
    return next((serial for each in named if (serial := _serial(each))), None)


def _dmi_revision(root: Path) -> str | None:
    """What a PC's maker calls this edition of it."""
    named = (_text(root / DMI / name) for name in ("product_version", "board_version"))
    return next((revision for each in named if (revision := _serial(each))), None)


_DMI_SERIALS = ("board_serial", "product_serial")


def _memory(root: Path) -> int | None:
    """What the kernel can use, or less where a container may not use all of it."""
    found = re.search(r"^MemTotal:\s*(\d+) kB$", _text(root / "proc/meminfo") or "", re.MULTILINE)
    limit = _text(root / "sys/fs/cgroup/memory.max") or ""
    known = [int(found[1]) * 1024] if found else []
    return min([*known, *([int(limit)] if re.fullmatch(r"[0-9]{1,18}", limit) else [])], default=None)


def _machine_id(root: Path) -> str | None:
    """Thirty-two hexadecimal digits; on a first boot the file may be empty or say `uninitialized`."""
    found = _text(root / MACHINE_ID) or ""
    return found if re.fullmatch(r"[0-9a-f]{32}", found) and len(set(found)) > 1 else None


_ETHERNET = "1"  # ARPHRD_ETHER, which Wi-Fi uses as well
_NET_ADDR_PERM = "0"


def _addresses(root: Path) -> Iterator[NetworkAddress]:
    folder = root / "sys/class/net"
    for interface in sorted(folder.iterdir()) if folder.is_dir() else []:
        address = (_text(interface / "address") or "").lower()
        if _text(interface / "type") == _ETHERNET and _is_address(address):
            burnt = _burnt_in(interface, address)
            yield NetworkAddress(interface.name, burnt or address, burnt is not None)


def _burnt_in(interface: Path, address: str) -> str | None:
    """The permanent address of a real interface, or None.

    NetworkManager gives a radio a random address while it scans; the radio itself still tells its own.
    """
    if "/devices/virtual/" in str(interface.resolve()):
        return None
    radio = (_text(interface / "phy80211/macaddress") or "").lower()
    if _is_address(radio):
        return None if _locally_administered(radio) else radio
    if _text(interface / "addr_assign_type") != _NET_ADDR_PERM or _locally_administered(address):
        return None
    return address


def _is_address(text: str) -> bool:
    return re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", text) is not None and len(set(text)) > 2


def _locally_administered(address: str) -> bool:
    """Whether IEEE 802 left the address to software (second bit) or to groups (first bit)."""
    return bool(int(address[:2], 16) & 0b11)


def _disk_uuid(root: Path) -> str | None:
    """The name of the disk that holds the root file system: the same for each of its partitions, if possible.

    First the partition table's own UUID from udev's database, then the part of an MBR PARTUUID on the
    kernel's command line that names the disk, then the file system's UUID.
    """
    device = _root_device(root)
    if device is None:
        return None
    return _table_uuid(root, device) or _command_line_uuid(root) or _file_system_uuid(root, device)


def _root_device(root: Path) -> str | None:
    """`major:minor` of the root file system; None if it is on no disk, as in a container."""
    for line in (_text(root / "proc/self/mountinfo") or "").splitlines():
        columns = line.split()
        if len(columns) > 4 and columns[4] == "/" and not columns[2].startswith("0:"):
            return columns[2]
    return None


def _table_uuid(root: Path, device: str) -> str | None:
    partition = (root / "sys/dev/block" / device).resolve()
    whole = _text(partition.parent / "dev") if (partition / "partition").exists() else device
    udev = _text(root / "run/udev/data" / f"b{whole}") or ""
    found = re.search(r"^E:ID_PART_TABLE_UUID=(\S+)$", udev, re.MULTILINE)
    return found[1].lower() if found else None


def _command_line_uuid(root: Path) -> str | None:
    line = _text(root / "proc/cmdline") or ""
    found = re.search(r"\broot=PARTUUID=([0-9a-fA-F]{8})-[0-9a-fA-F]{2}\b", line)
    return found[1].lower() if found else None


def _file_system_uuid(root: Path, device: str) -> str | None:
    name = (root / "sys/dev/block" / device).resolve().name
    folder = root / "dev/disk/by-uuid"
    links = sorted(folder.iterdir()) if folder.is_dir() else []
    return next((link.name.lower() for link in links if link.readlink().name == name), None)
