"""The files of real kinds of machines, built below a folder; serials and addresses are invented."""

from collections.abc import Callable
from pathlib import Path

Files = dict[str, str | bytes]

CPU_64 = (
    "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU architecture: 8\n\n"
)

WIRELESS = (
    "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
    " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"
    " wlan0: 0000   54.  -56.  -256        0      0      0      0     12        0\n"
)


def write(root: Path, files: Files) -> None:
    """Write the files with the folders they need."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def add_interface(
    root: Path,
    name: str,
    bus: str,
    address: str,
    assign_type: int = 0,
    kind: int = 1,
    radio: str | None = None,
) -> None:
    """List a network interface as sysfs does: a link from the class to the device."""
    device = root / "sys/devices" / bus / "net" / name
    write(device, {"address": f"{address}\n", "addr_assign_type": f"{assign_type}\n", "type": f"{kind}\n"})
    if radio is not None:
        write(device, {"phy80211/macaddress": f"{radio}\n"})
    link = root / "sys/class/net" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("../../devices") / bus / "net" / name)


def add_loopback(root: Path) -> None:
    """The interface that every machine has."""
    add_interface(root, "lo", "virtual", "00:00:00:00:00:00", kind=772)


def add_disk(
    root: Path, disk: str, partition: str, number: int, device: str, whole: str, table: str | None, uuid: str
) -> None:
    """Put the root file system on a partition of a disk, with what udev keeps about it."""
    folder = root / "sys/devices/platform/storage/block" / disk
    write(
        folder,
        {"dev": f"{whole}\n", f"{partition}/dev": f"{device}\n", f"{partition}/partition": f"{number}\n"},
    )
    link = root / "sys/dev/block" / device
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("../../devices/platform/storage/block") / disk / partition)
    if table is not None:
        write(
            root,
            {f"run/udev/data/b{whole}": f"N:{disk}\nE:ID_PART_TABLE_TYPE=x\nE:ID_PART_TABLE_UUID={table}\n"},
        )
    names = root / "dev/disk/by-uuid"
    names.mkdir(parents=True)
    (names / uuid).symlink_to(f"../../{partition}")
    write(root, {"proc/self/mountinfo": f"29 1 {device} / / rw,noatime shared:1 - ext4 /dev/root rw\n"})


def add_videos(root: Path, **names: str) -> None:
    """Video devices and chips on a camera's bus, by the names that their drivers give them."""
    listed = {device.replace("_", "-"): name for device, name in names.items()}
    write(root / "sys/class/video4linux", {f"{device}/name": f"{name}\n" for device, name in listed.items()})


def _pi(root: Path, model: str, revision: str, serial: str, memory_kb: int) -> None:
    board = f"Revision\t: {revision}\nSerial\t\t: {serial}\nModel\t\t: {model}\n"
    write(
        root,
        {
            "proc/cpuinfo": CPU_64 + board,
            "proc/device-tree/model": model.encode() + b"\0",
            "proc/device-tree/serial-number": serial.encode() + b"\0",
            "proc/meminfo": f"MemTotal:       {memory_kb} kB\nMemFree:        12345 kB\n",
            "proc/sys/kernel/hostname": "meteor\n",
            "proc/cmdline": "console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 rootwait\n",
            "etc/machine-id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n",
        },
    )
    add_loopback(root)
    add_disk(
        root, "mmcblk0", "mmcblk0p2", 2, "179:2", "179:0", "4e639091", "56f80fa2-e005-4cca-86e6-19da1069914d"
    )


def pi_3(root: Path) -> None:
    """A Raspberry Pi 3 B: its serial begins with zeros, its Ethernet hangs on USB."""
    _pi(root, "Raspberry Pi 3 Model B Rev 1.2", "a02082", "00000000d1e2f3a4", 948_304)
    add_interface(root, "eth0", "platform/soc/3f980000.usb/usb1/1-1/1-1.1", "b8:27:eb:e2:f3:a4")
    add_videos(root, video10="bcm2835-codec-decode", video12="bcm2835-isp-output0")
    add_interface(
        root, "wlan0", "platform/soc/3f300000.mmc/mmc1", "b8:27:eb:b7:a6:f1", radio="b8:27:eb:b7:a6:f1"
    )


def pi_zero_2(root: Path) -> None:
    """A Raspberry Pi Zero 2 W with a sensor on the ribbon cable and no cable to a network."""
    _pi(root, "Raspberry Pi Zero 2 W Rev 1.0", "902120", "00000000e1f2a3b4", 437_584)
    add_interface(
        root, "wlan0", "platform/soc/3f300000.mmc/mmc1", "d8:3a:dd:0a:0b:0d", radio="d8:3a:dd:0a:0b:0d"
    )
    add_videos(
        root,
        video0="unicam-image",
        video1="unicam-embedded",
        video10="bcm2835-codec-decode",
        v4l_subdev0="imx290 10-001a",
    )
    write(root, {"proc/net/wireless": WIRELESS})


def pi_4(root: Path) -> None:
    """A Raspberry Pi 4 B whose radio shows a random address while NetworkManager scans."""
    _pi(root, "Raspberry Pi 4 Model B Rev 1.4", "c03114", "100000004b5c6d7e", 3_884_000)
    add_interface(root, "eth0", "platform/scb/fd580000.ethernet", "dc:a6:32:0a:0b:0c")
    add_interface(
        root, "wlan0", "platform/soc/fe300000.mmc/mmc1", "5a:11:22:33:44:55", 3, radio="dc:a6:32:0a:0b:0d"
    )
    add_videos(root, video0="HD Pro Webcam C920", video1="HD Pro Webcam C920", video19="rpi-hevc-dec")


def pi_5(root: Path) -> None:
    """A Raspberry Pi 5 that boots from an NVMe disk and carries a bridge and a VPN."""
    _pi(root, "Raspberry Pi 5 Model B Rev 1.0", "d04170", "a1b2c3d4e5f60718", 8_256_000)
    for path in (root / "dev/disk/by-uuid", root / "sys/dev/block"):
        for link in path.iterdir():
            link.unlink()
        path.rmdir()
    (root / "run/udev/data/b179:0").unlink()
    table = "0b9f6a3c-1d2e-4f50-8a61-7b8c9d0e1f2a"
    add_disk(root, "nvme0n1", "nvme0n1p2", 2, "259:2", "259:0", table, "11111111-2222-4333-8444-555555555555")
    add_interface(root, "eth0", "platform/axi/1f00100000.ethernet", "2c:cf:67:0a:0b:0c")
    add_interface(
        root, "wlan0", "platform/axi/1001100000.mmc/mmc1", "2c:cf:67:0a:0b:0d", radio="2c:cf:67:0a:0b:0d"
    )
    add_videos(
        root,
        video0="rp1-cfe-csi2_ch0",
        video4="rp1-cfe-fe_image0",
        video20="pispbe-input",
        v4l_subdev0="csi2",
        v4l_subdev1="pisp-fe",
        v4l_subdev2="dw9807 10-000c",
        v4l_subdev3="imx708 10-001a",
    )
    add_interface(root, "br0", "virtual", "2c:cf:67:0a:0b:0c", 3)
    add_interface(root, "wg0", "virtual", "", 0, 65534)


def x86(root: Path) -> None:
    """A small PC without a CPU serial, whose maker forgot one of its serials; the service runs as root."""
    write(
        root,
        {
            "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) N100\n\n",
            "proc/meminfo": "MemTotal:       16123456 kB\n",
            "proc/sys/kernel/hostname": "attic\n",
            "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=99999999-2222-4333-8444-555555555555 ro\n",
            "etc/machine-id": "aabbccddeeff00112233445566778899\n",
            "sys/class/dmi/id/sys_vendor": "ACME\n",
            "sys/class/dmi/id/product_name": "Box N100\n",
            "sys/class/dmi/id/product_version": "Default string\n",
            "sys/class/dmi/id/board_version": "V1.2\n",
            "sys/class/dmi/id/board_serial": "To be filled by O.E.M.\n",
            "sys/class/dmi/id/product_serial": "AC-2024-00917\n",
        },
    )
    add_loopback(root)
    add_interface(root, "enp1s0", "pci0000:00/0000:01:00.0", "00:e0:4c:68:00:01")
    add_videos(root, video0="UVC Camera (046d:0825)", video1="UVC Camera (046d:0825)")
    add_interface(root, "docker0", "virtual", "02:42:ac:11:00:01", 3)
    add_disk(root, "sda", "sda2", 2, "8:2", "8:0", None, "99999999-2222-4333-8444-555555555555")


def container(root: Path) -> None:
    """A container: its own network, the host's processor and command line, no machine-id and no disk."""
    write(
        root,
        {
            "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\n\n",
            "proc/meminfo": "MemTotal:       32123456 kB\n",
            "proc/sys/kernel/hostname": "3f2a9c1b7d45\n",
            "proc/cmdline": "BOOT_IMAGE=/boot/vmlinuz root=PARTUUID=deadbeef-02 ro\n",
            "proc/self/mountinfo": "512 480 0:55 / / rw,relatime - overlay overlay rw,lowerdir=/x\n",
            "sys/fs/cgroup/memory.max": "1073741824\n",
            "etc/machine-id": "uninitialized\n",
        },
    )
    add_loopback(root)
    add_interface(root, "eth0", "virtual", "02:42:ac:11:00:02", 3)


BOARDS: dict[str, Callable[[Path], None]] = {
    "pi_3": pi_3,
    "pi_zero_2": pi_zero_2,
    "pi_4": pi_4,
    "pi_5": pi_5,
    "x86": x86,
    "container": container,
}
