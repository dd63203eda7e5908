"""How a test tells its tools what to do while they run: one line of JSON each way over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from scripts.processes import ROOT, Program, eventually

Obey = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a wish, answers with what there is to know. An empty wish changes nothing."""


async def serve(path: str, obey: Obey, work: Callable[[], Awaitable[object]]) -> None:
    """Does the work and obeys at `path` until the process is told to end, or its test is gone."""
    ended, test = asyncio.Event(), os.getppid()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wish = json.loads(await reader.readline())
        writer.write(json.dumps(obey(wish)).encode() + b"\n")
        await writer.drain()
        writer.close()

    await work()
    server = await asyncio.start_unix_server(one, path)
    while not ended.is_set() and os.getppid() == test:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1)
    server.close()


class Tool:
    """One tool as a process, in a namespace when `inside` says how to get there."""

    def __init__(self, folder: Path, module: str, *arguments: str, inside: tuple[str, ...] = ()) -> None:
        self._control = folder / f"{module}.sock"
        self.log = folder / f"{module}.log"
        command = [*inside, sys.executable, "-m", f"tests.netfaults.{module}", str(self._control), *arguments]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
        eventually(self._ready, f"the tool {module} is ready")

    def ask(self, **wish: Any) -> dict[str, Any]:
        """Sends a wish; what the tool answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._control))
            connection.sendall(json.dumps(wish).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile().readline())
        return answer

    def text(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ends the process."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.text()
        try:
            self.ask()
        except OSError:
            return False
        return True


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used (proc(5): utime and stime, in clock ticks)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pid_of(program: Program) -> int:
    """The id of a program that was started; `ip netns exec` and `env` become the program itself."""
    assert program.process is not None
    return program.process.pid
