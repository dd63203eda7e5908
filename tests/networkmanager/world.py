"""The real NetworkManager in namespaces of its own: bus, polkit, two ends of a cable, nothing of the host.

The daemons live in a network and a mount namespace, which end with the test; the bus's socket is a file,
and so is reached from outside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.networkmanager.buses import AS_INSTALLED, why_no_bus, write_config

METEOR_UID, STRANGER_UID = 64_811, 64_812
RULES = Path(__file__).parents[2] / "appliance/network/networkmanager/polkit.rules"
PATIENCE_S = 60.0

_PROGRAMS = {
    "NetworkManager": "network-manager",
    "nmcli": "network-manager",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
}
_POLKITD = ("/usr/lib/polkit-1/polkitd", "/usr/libexec/polkitd")

_SETUP = """set -e
mount -t sysfs -o ro sysfs /sys        # read-only: NetworkManager then does not wait for udev
mount -t tmpfs tmpfs /run
mkdir -p /run/NetworkManager /run/dbus
for place in /etc/NetworkManager /var/lib/NetworkManager /etc/polkit-1/rules.d; do
  mkdir -p $place; mount -t tmpfs -o mode=755 tmpfs $place
done
cp {rules} /etc/polkit-1/rules.d/50-meteor-appliance.rules
mount --bind {passwd} /etc/passwd
ip link set lo up
ip link add eth0 type veth peer name far0
ip link set far0 up
echo ready
exec cat
"""

_CONFIG = """[main]
plugins=keyfile
dhcp=internal
dns=none
no-auto-default=*
auth-polkit={polkit}
[keyfile]
path={folder}/connections
unmanaged-devices=interface-name:far0
[logging]
level=INFO
"""


def why_no_world() -> str | None:
    """Why the real NetworkManager cannot run here, or None."""
    if reason := why_no_bus():
        return reason
    for program, package in _PROGRAMS.items():
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            return f"{program} is not installed (Debian: apt install {package})"
    if os.geteuid() != 0:
        return "only root may make network namespaces and start NetworkManager in them"
    tried = subprocess.run(
        [
            "unshare",
            "--net",
            "--mount",
            "sh",
            "-c",
            "mount -t sysfs -o ro s /sys && ip link add a0 type veth peer name a1",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"namespaces cannot be made here: {tried.stderr.strip()}" if tried.returncode else None


def polkitd() -> str | None:
    """The program of polkit, where it is installed."""
    return next((path for path in _POLKITD if Path(path).exists()), None)


class World:
    """Running bus and NetworkManager; `address` is the bus's, `connections` the folder of the profiles."""

    def __init__(self, folder: Path, stack: ExitStack, *, polkit: bool) -> None:
        self.folder = folder
        self.connections = folder / "connections"
        self.connections.mkdir(mode=0o700)
        self._stack = stack
        self._polkit = polkit
        config, self.address = write_config(folder, "system", AS_INSTALLED)
        self._holder = self._hold()
        self._start("bus", ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"])
        _wait(lambda: (folder / "bus").exists(), "the bus")
        if polkit:
            program = polkitd()
            assert program is not None
            self._start("polkit", [program, "--no-debug"])
            _wait(lambda: self._has("org.freedesktop.PolicyKit1"), "polkit")
        self._write_config()
        self._daemon = self._start_daemon()

    def _hold(self) -> subprocess.Popen[str]:
        passwd = self.folder / "passwd"
        users = f"meteor:x:{METEOR_UID}:65534::/:/bin/sh\nstranger:x:{STRANGER_UID}:65534::/:/bin/sh\n"
        passwd.write_text(Path("/etc/passwd").read_text() + users)
        script = _SETUP.format(rules=RULES, passwd=passwd)
        holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(_end, holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the namespaces were not made"
        return holder

    def _inside(self, command: Sequence[str]) -> list[str]:
        spaces = f"/proc/{self._holder.pid}/ns"
        return ["nsenter", f"--net={spaces}/net", f"--mount={spaces}/mnt", "--", *command]

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "LC_ALL": "C",
        }

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                self._inside(["setpriv", "--pdeathsig", "KILL", *command]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        self._stack.callback(_end, started)
        return started

    def run(self, *command: str) -> str:
        """What a program prints in the namespaces; fails with its complaint."""
        done = subprocess.run(
            self._inside(command),
            capture_output=True,
            text=True,
            env=self._environment,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def _has(self, name: str) -> bool:
        listed = self.run(
            "dbus-send",
            f"--bus={self.address}",
            "--print-reply",
            "--dest=org.freedesktop.DBus",
            "/",
            "org.freedesktop.DBus.ListNames",
        )
        return f'"{name}"' in listed

    # --- NetworkManager -------------------------------------------------------------------------------------

    def _write_config(self) -> None:
        (self.folder / "conf.d").mkdir()
        polkit = "true" if self._polkit else "false"
        text = _CONFIG.format(folder=self.folder, polkit=polkit)
        (self.folder / "nm.conf").write_text(text)

    def _start_daemon(self) -> subprocess.Popen[bytes]:
        command = [
            "NetworkManager",
            "--debug",
            f"--config={self.folder}/nm.conf",
            f"--config-dir={self.folder}/conf.d",
            "--system-config-dir=/nowhere",
            f"--intern-config={self.folder}/intern.conf",
            f"--state-file={self.folder}/state",
            f"--pid-file={self.folder}/nm.pid",
        ]
        daemon = self._start("nm", command)
        _wait(lambda: self._has("org.freedesktop.NetworkManager"), "NetworkManager")
        return daemon

    def stop(self) -> None:
        """NetworkManager ends, as at an upgrade."""
        _end(self._daemon)
        _wait(lambda: not self._has("org.freedesktop.NetworkManager"), "the end of NetworkManager")

    def start(self) -> None:
        """NetworkManager comes back."""
        self._daemon = self._start_daemon()

    def log(self) -> str:
        """What NetworkManager wrote."""
        return (self.folder / "nm.log").read_text(errors="replace")


@contextmanager
def world(*, polkit: bool = False) -> Iterator[World]:
    """NetworkManager with a cable eth0, whose other end is far0."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nm-")))
        folder.chmod(0o755)  # polkit's own user has to reach the bus
        yield World(folder, stack, polkit=polkit)


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Ends a process of ours, and takes its last word."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _wait(true: object, what: str) -> None:
    assert callable(true)
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)
