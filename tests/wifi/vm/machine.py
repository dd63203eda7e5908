"""One QEMU guest: booted or taken up from a snapshot, talked to over ssh, ended. What it does is elsewhere.

Works without hardware virtualization. Where /dev/kvm exists it is tried, not believed: some machines have
one that cannot run a Debian kernel.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.wifi.vm.image import Image

TCG = "tcg,thread=multi"
BOOT_S = 300.0
"""Far above what was measured (32 s alone on two cores), because a machine may be shared."""
PROBE_S = 15.0
MEMORY = "1024"


class MachineFailed(Exception):
    """The guest did not do what it was asked; the text has the end of what it said."""


class Machine:
    """A guest on its own writable layer over the image. Use as a context manager."""

    def __init__(self, image: Image, accel: str, layer: Path | None = None) -> None:
        """`layer` is a file whose snapshots are to be used; a copy of it is written to."""
        self._image, self._accel = image, accel
        self._folder = Path(tempfile.mkdtemp(prefix="met-vm-"))
        self._layer = self._folder / "layer.qcow2"
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: _Qmp | None = None
        if layer is not None:
            shutil.copyfile(layer, self._layer)
            _run("qemu-img", "rebase", "-u", "-F", "raw", "-b", image.disk, self._layer)
        else:
            _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.disk, self._layer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, snapshot: str | None = None) -> None:
        """Boots, or takes up a snapshot, and waits until the guest answers."""
        self.launch(snapshot)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + BOOT_S
        while not self.answers():
            if self._process is None or self._process.poll() is not None:
                code = None if self._process is None else self._process.poll()
                raise MachineFailed(f"QEMU ended with {code}:\n{self.said()}")
            if time.monotonic() > deadline:
                raise MachineFailed(f"no answer in {BOOT_S:.0f} s:\n{self.said()}")
            time.sleep(0.5)

    def launch(self, snapshot: str | None = None) -> None:
        """Starts QEMU without waiting for the guest."""
        with (self._folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(snapshot), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _command(self, snapshot: str | None) -> list[str]:
        kernel = "root=LABEL=root rw console=ttyS0 systemd.show_status=0 net.ifnames=0"
        forward = f"user,id=cable,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        return [
            *("nice", "-n", "10", "qemu-system-x86_64", "-M", "q35", "-accel", self._accel),
            *("-cpu", "host" if self._accel == "kvm" else "max", "-smp", "2", "-m", MEMORY),
            *("-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"),
            *("-serial", f"file:{self._folder / 'serial.log'}"),
            *("-qmp", f"unix:{self._folder / 'qmp'},server=on,wait=off"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd), "-append", kernel),
            *("-drive", f"file={self._layer},if=virtio,format=qcow2,cache=unsafe"),
            *("-netdev", forward, "-device", "virtio-net-pci,netdev=cable", "-device", "virtio-rng-pci"),
            *(("-loadvm", snapshot) if snapshot else ()),
        ]

    def end(self) -> None:
        """Ends QEMU, the guest with it."""
        process, self._process = self._process, None
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def said(self) -> str:
        """The end of what QEMU and the guest's kernel said."""
        return self.log("qemu.log")[-2000:] + self.log("serial.log")[-2000:]

    def log(self, name: str) -> str:
        """One of the two logs, `qemu.log` or `serial.log`."""
        path = self._folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    # --- inside ---------------------------------------------------------------------------------------------

    def answers(self) -> bool:
        """Whether the guest runs commands."""
        with contextlib.suppress(MachineFailed):
            self.run("true", seconds=10)
            return True
        return False

    def run(self, command: str, seconds: float = 60, data: bytes | None = None) -> str:
        """What a shell command in the guest prints. Raises `MachineFailed` with its errors."""
        try:
            done = subprocess.run(
                [*self._ssh(), command], input=data or b"", capture_output=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise MachineFailed(f"{command}: no end in {seconds:.0f} s") from None
        if done.returncode != 0:
            told = (done.stdout + done.stderr).decode(errors="replace")[-16000:]
            raise MachineFailed(f"{command}: {done.returncode}\n{told}")
        return done.stdout.decode(errors="replace")

    def _ssh(self) -> list[str]:
        options = (
            *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"),
            *("ConnectTimeout=5", "IdentitiesOnly=yes", "BatchMode=yes"),
        )
        named = [word for option in options for word in ("-o", option)]
        return ["ssh", "-p", str(self._port), "-i", str(self._image.key), *named, "root@127.0.0.1"]

    def set_clock(self) -> None:
        """A guest from a snapshot lives in the past."""
        self.run(f"date -u -s @{int(time.time())} >/dev/null")

    def reset(self) -> None:
        """As a power cut; what was not flushed to the disk is gone. Returns when the guest answers again."""
        self._monitor("system_reset")
        time.sleep(1)  # until then the old system may still answer
        self._wait_until_it_answers()
        self.set_clock()

    # --- snapshots ------------------------------------------------------------------------------------------

    def save(self, name: str) -> None:
        """Keeps the running guest, memory and disk, under a name in its layer."""
        self._monitor(f"savevm {name}")

    def load(self, name: str) -> None:
        """Goes back to what was saved, and sets the clock."""
        self._monitor(f"loadvm {name}")
        deadline = time.monotonic() + 60
        while not self.answers():
            if time.monotonic() > deadline:
                raise MachineFailed(f"no answer after {name} was loaded:\n{self.said()}")
            time.sleep(0.2)
        self.set_clock()

    def keep_layer(self, target: Path) -> None:
        """Ends the guest and puts its layer with all snapshots at `target`."""
        self.end()
        shutil.copyfile(self._layer, target.with_suffix(".part"))
        target.with_suffix(".part").rename(target)

    def _monitor(self, command: str) -> None:
        if self._qmp is None:
            self._qmp = _Qmp(self._folder / "qmp")
        answer = self._qmp.command("human-monitor-command", {"command-line": command})
        if answer:
            raise MachineFailed(f"{command}: {answer}")


class _Qmp:
    """QEMU's control socket: one JSON object in a line."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._socket.connect(str(path))
        self._lines = self._read()
        next(self._lines)  # the greeting
        self.command("qmp_capabilities", {})

    def command(self, name: str, arguments: dict[str, Any]) -> Any:
        self._socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        for answer in self._lines:
            if "error" in answer:
                raise MachineFailed(f"{name}: {answer['error']}")
            if "return" in answer:  # what is neither is an event
                return answer["return"]
        raise MachineFailed(f"{name}: QEMU closed its socket")

    def _read(self) -> Iterator[dict[str, Any]]:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                yield json.loads(line)

    def close(self) -> None:
        self._socket.close()


def accelerator(image: Image) -> tuple[str, str]:
    """What to run on, and why: `kvm` only when a kernel was seen to start with it."""
    if not Path("/dev/kvm").exists():
        return TCG, "no /dev/kvm"
    with Machine(image, "kvm") as probe:
        probe.launch()
        deadline = time.monotonic() + PROBE_S
        while time.monotonic() < deadline:
            if "Linux version" in probe.log("serial.log"):
                return "kvm", "a kernel starts with it"
            if fault := probe.log("qemu.log").strip():
                return TCG, f"/dev/kvm is there, but: {fault.splitlines()[0]}"
            time.sleep(0.2)
    return TCG, f"/dev/kvm is there, but no kernel started with it in {PROBE_S:.0f} s"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)
