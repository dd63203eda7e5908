"""Who starts the program that is updated: systemd, or a process of our own for development and tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from firmware.durable import write_durably

STOP_S = 10.0
SYSTEMCTL_S = 90.0


class SystemdService:
    """A unit of systemd."""

    def __init__(self, unit: str, program: str = "systemctl") -> None:
        self._unit, self._program = unit, program

    def pid(self) -> int | None:
        """The unit's main process."""
        try:
            said = self._ask("show", "--property=MainPID", "--value", self._unit).strip()
        except OSError:
            return None
        return int(said) if said.isdigit() and said != "0" else None

    def restart(self) -> None:
        """Asks for it and does not wait for the start: the probes do."""
        self._ask("reset-failed", self._unit, check=False)
        self._ask("restart", "--no-block", self._unit)

    def _ask(self, *words: str, check: bool = True) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - our own words
                [self._program, *words], capture_output=True, text=True, timeout=SYSTEMCTL_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"{self._program} {words[0]} does not answer") from None
        if check and done.returncode != 0:
            raise OSError(f"{self._program} {words[0]}: {done.stderr.strip() or done.returncode}")
        return done.stdout


class ProcessService:
    """`run` of the version that is pointed to, as a process that outlives the agent.

    A file names the process and when it began, so that a later process with the same number is not it.
    """

    def __init__(self, current: Path, pidfile: Path, environment: dict[str, str] | None = None) -> None:
        self._current, self._pidfile = current, pidfile
        self._environment = environment
        self._child: subprocess.Popen[bytes] | None = None

    def pid(self) -> int | None:
        """The process, if it still runs."""
        if self._child is not None:
            self._child.poll()
        try:
            pid, began = self._pidfile.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _began(int(pid)) == began else None

    def restart(self) -> None:
        """Ends the process and starts `run` in the version's own folder."""
        self.stop()
        folder = self._current.resolve(strict=True)
        self._child = subprocess.Popen(  # noqa: S603 - a program of the version
            [str(folder / "run")],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        write_durably(self._pidfile, f"{self._child.pid} {_began(self._child.pid)}".encode())

    def stop(self) -> None:
        """Ends the process, by force if it does not go."""
        for number, patience in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
            ends = time.monotonic() + patience
            while (pid := self.pid()) is not None:
                if time.monotonic() >= ends:
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                time.sleep(0.02)


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks since the boot; empty for none and for a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
