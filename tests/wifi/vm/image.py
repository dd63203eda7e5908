"""The guest's disk: a Debian root with real Wi-Fi programs, made once for each list of packages.

Nothing is mounted and no loop device is used. Booting belongs to `machine.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
SYSTEM = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "zstd", "initramfs-tools", "openssh-server"),
    *("linux-image-amd64", "network-manager", "wpasupplicant", "hostapd", "dnsmasq-base", "nftables"),
    *("iw", "wireless-regdb", "iproute2", "iputils-ping", "busybox", "procps", "ca-certificates"),
)
STATION = (
    *("python3", "python3-aiohttp", "python3-cryptography", "python3-jinja2", "python3-msgspec"),
    *("python3-babel", "python3-netifaces", "python3-psutil", "python3-qrcode", "sqlite-utils"),
    *("python3-transitions", "python3-dbus-fast"),
)
"""The station's libraries as Debian has them: that it runs with these is part of what is tested."""
CLOUD = ("python3-alembic", "python3-argon2", "python3-jwt", "python3-sqlalchemy")
PACKAGES = (*SYSTEM, *STATION, *CLOUD)

DISK_BYTES = 3 << 30
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "ssh-keygen": "openssh-client"}

FILES = {
    "etc/hostname": "station\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 station\n",
    "etc/fstab": "LABEL=root / ext4 defaults,noatime 0 1\n",
    "etc/machine-id": "",
    "etc/ssh/sshd_config.d/guest.conf": "PermitRootLogin prohibit-password\nUseDNS no\n",
    # wlan0 is the station's. The tests come in by the cable, and the other radios are other people's.
    "etc/NetworkManager/conf.d/guest.conf": "[main]\nplugins=keyfile\n\n[keyfile]\n"
    "unmanaged-devices=*,except:interface-name:wlan0\n",
    "etc/modules-load.d/guest.conf": "mac80211_hwsim\n",
    # Four radios, each on one channel at a time as in a Raspberry Pi. China's rules allow few channels, which
    # makes scans short; a product sets the country where it stands.
    "etc/modprobe.d/guest.conf": "options mac80211_hwsim radios=4 channels=1\n"
    "options cfg80211 ieee80211_regdom=CN\n",
    "etc/systemd/network/10-cable.network": "[Match]\nName=eth*\n\n[Network]\nAddress=10.0.2.15/24\n"
    "ConfigureWithoutCarrier=yes\nLinkLocalAddressing=no\n",
}
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("fstrim.timer", "hostapd.service", "NetworkManager-wait-online.service"),
    *("systemd-networkd-wait-online.service", "systemd-timesyncd.service", "getty@tty1.service"),
)


class ImageUnavailable(Exception):
    """The disk cannot be made or found here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Image:
    """The files of one guest."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, never written to after it was made."""
        return self.folder / "disk.img"

    @property
    def kernel(self) -> Path:
        """Debian's kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Debian's initial RAM disk."""
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        """The private key that opens the guest; made with the disk and for it alone."""
        return self.folder / "key"


def cached() -> Image | None:
    """The image for the present recipe, if it was made before."""
    image = Image(cache() / f"{SUITE}-{_recipe()}")
    return image if image.disk.exists() else None


def build() -> Image:
    """The image, made when it is not there (about two minutes). Raises `ImageUnavailable`."""
    if (found := cached()) is not None:
        return found
    _check_tools()
    target = cache() / f"{SUITE}-{_recipe()}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=target.parent) as name:
        making = Path(name)
        _debootstrap(making / "root")
        _settle(making / "root", making)
        _make_disk(making / "root", making / "disk.img")
        shutil.rmtree(making / "root")
        shutil.rmtree(target, ignore_errors=True)
        making.rename(target)
        making.mkdir()  # for the temporary folder to take away
    return Image(target)


def cache() -> Path:
    """Where disks are kept between runs; outside of the project, because they are large."""
    named = os.environ.get("METEOR_VM_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "meteor-appliance/vm"


def _recipe() -> str:
    """Changes with anything that goes into the disk."""
    content = json.dumps([SUITE, PACKAGES, FILES, MASKED, DISK_BYTES])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _check_tools() -> None:
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise ImageUnavailable(f"these packages are missing: {' '.join(missing)}. Run `make test-wifi`.")
    if os.geteuid() != 0:
        raise ImageUnavailable("the disk's files belong to root. Make it once as root: `make wifi-image`.")


def _debootstrap(root: Path) -> None:
    slim = ("man", "doc", "locale", "info")
    command = [
        *("mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase", "--architectures=amd64"),
        *("--aptopt=APT::Install-Recommends false", f"--include={','.join(PACKAGES)}", "--quiet"),
        *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in slim),
        *(SUITE, str(root)),
    ]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        raise ImageUnavailable(f"mmdebstrap: {made.stderr[-2000:]}")


def _settle(root: Path, folder: Path) -> None:
    """Everything that turns a bare Debian into this guest."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    units = root / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants/systemd-networkd.service"
    wanted.unlink(missing_ok=True)
    wanted.symlink_to("/usr/lib/systemd/system/systemd-networkd.service")
    _let_in(root, folder)
    for name in ("vmlinuz", "initrd.img"):
        newest = max((root / "boot").glob(f"{name}-*"))
        shutil.copyfile(newest, folder / name)


def _let_in(root: Path, folder: Path) -> None:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "guest", "-f", str(key)], check=True)
    home = root / "root/.ssh"
    home.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(f"{key}.pub", home / "authorized_keys")
    (home / "authorized_keys").chmod(0o600)


def _make_disk(root: Path, disk: Path) -> None:
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(root), str(disk)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        raise ImageUnavailable(f"mke2fs: {made.stderr[-2000:]}")


if __name__ == "__main__":
    print(build().folder)
