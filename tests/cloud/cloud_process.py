"""A cloud as a real process, for tests that kill it. Only the process that was started is ever ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
START_S = 60


class CloudProcess:
    """`meteor-cloud run --development` on one data folder and, from the second start on, one port."""

    def __init__(self, folder: Path, *flags: str, environment: dict[str, str] | None = None) -> None:
        self.folder, self.flags = folder, flags
        self.environment = environment or {}
        self.port = 0
        self.log = folder.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the process says that it is ready."""
        command = [sys.executable, "-m", "cloud", "run", "--development", "--data-dir", str(self.folder)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self.flags],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self.environment,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        found = re.search(r":(\d+)$", line.strip())
        assert found, f"not ready: {line!r} {self.log.read_text()}"
        self.port = int(found[1])

    def kill(self) -> None:
        """As a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As systemd does; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        code = process.wait(timeout=START_S)
        if process.stdout is not None:
            process.stdout.close()
        return code

    def demo(self) -> tuple[str, str]:
        """The demo account's address and password."""
        email, password = (self.folder / "demo-account.txt").read_text().split()
        return email, password


async def until_it_answers(session: aiohttp.ClientSession, base: str) -> None:
    """Waits for the health page."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            async with session.get(f"{base}/health") as reply:
                if reply.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("the cloud did not answer")
