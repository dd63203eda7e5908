"""The project in a guest: copied in, its scenarios run from saved moments, their times kept."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.wifi.vm.image import Image
from tests.wifi.vm.machine import Machine, MachineFailed

ROOT = Path(__file__).resolve().parent.parent.parent.parent
RESULTS = ROOT / "test-results" / "wifi.jsonl"
SCENARIO_S = 540.0
_RADIO_IS_THERE = "until nmcli -t -f DEVICE,STATE dev | grep -q wlan0:disconnected; do sleep 1; done"


@dataclass
class Guest:
    """One machine and the moments that are saved in it."""

    machine: Machine
    about: str
    saved: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        """The project as it is in the working tree, and the radios handed out."""
        self.machine.set_clock()
        self.machine.run("mkdir -p /srv/project && tar -C /srv/project -xf -", data=_tree())
        self.machine.run("tar -C /usr/local/lib/python3*/dist-packages -xf -", data=_nmcli())
        self.machine.run("cd /srv/project && python3 -m compileall -q . >/dev/null; true", seconds=300)
        self._do("prepare")
        self.save("ready")

    def save(self, moment: str) -> None:
        """Keeps the machine as it is now."""
        self.machine.save(moment)
        self.saved.add(moment)

    def open_house(self) -> None:
        """The owner's cloud, in the machine as `open` has it."""
        self.machine.load("open")
        self._do("house")

    def run(self, scenario: str, base: str | None) -> dict[str, float]:
        """The seconds of its steps. Raises `MachineFailed` with the guest's logs."""
        RESULTS.parent.mkdir(exist_ok=True)
        if base is not None:
            self.machine.load(base)
        began = time.monotonic()
        try:
            said = self._do(scenario)
        except MachineFailed as failure:
            (RESULTS.parent / f"wifi-{scenario}.log").write_text(str(failure))
            raise
        (RESULTS.parent / f"wifi-{scenario}.log").write_text(said)
        seconds: dict[str, float] = json.loads(said.splitlines()[-1])["seconds"]
        seconds["whole scenario"] = round(time.monotonic() - began, 1)
        self._keep(scenario, seconds)
        return seconds

    def _do(self, what: str) -> str:
        command = f"cd /srv/project && timeout {SCENARIO_S:.0f} python3 -m tests.wifi.guest.run {what} 2>&1"
        return self.machine.run(command, seconds=SCENARIO_S + 30)

    def _keep(self, scenario: str, seconds: dict[str, float]) -> None:
        line = {"scenario": scenario, "on": self.about, "at": int(time.time()), "seconds": seconds}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def cut_power(self) -> None:
        """No flush, no farewell; returns when the machine has booted again."""
        self.machine.reset()


def booted_layer(image: Image, accel: str) -> Path:
    """A booted machine, made once for each image. Its memory fits only the accelerator it was made with."""
    layer = image.folder / f"booted-{accel.partition(',')[0]}.qcow2"
    if not layer.exists():
        with Machine(image, accel) as machine:
            machine.start()
            machine.run(_RADIO_IS_THERE, seconds=120)
            machine.save("booted")
            machine.keep_layer(layer)
    return layer


def _tree() -> bytes:
    """All files that git knows or would take, as a tar archive."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    return _archive([(ROOT / name, name) for name in names if not name.startswith("docs/pictures/")])


def _nmcli() -> bytes:
    """The one library that Debian does not have: the PyPI package nmcli, which is Python alone."""
    found = importlib.util.find_spec("nmcli")
    if found is None or not found.submodule_search_locations:
        raise MachineFailed("the package nmcli is not installed. Run `make setup`.")
    folder = Path(found.submodule_search_locations[0])
    files = [path for path in folder.rglob("*.py") if path.is_file()]
    return _archive([(path, str(path.relative_to(folder.parent))) for path in files])


def _archive(files: list[tuple[Path, str]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, name in files:
            tar.add(path, name, recursive=False, filter=_as_root)
    return buffer.getvalue()


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
