"""A program of the system as a child of the station: started, watched, started again when it dies, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

READY_S = 30.0
END_S = 5.0
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
LINE_BYTES = 16 * 1024


class ChildFailed(Exception):
    """The program is not there or does not stay; the text is the end of what it said."""


class Child:
    """One program. `heard` is called with every line it writes, in the event loop."""

    def __init__(
        self,
        command: list[str],
        ready: str | None,
        heard: Callable[[str], None],
        stream: Literal["stdout", "stderr"] = "stderr",
    ) -> None:
        """`ready` is what a line says once the program does its work; None where it says nothing then."""
        self._command, self._ready, self._heard, self._stream = command, ready, heard, stream
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._last: deque[str] = deque(maxlen=5)

    async def start(self) -> None:
        """Returns once it works. Raises `ChildFailed`; then nothing of it is left."""
        works = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(works), name=Path(self._command[0]).name)
        try:
            async with asyncio.timeout(READY_S):
                await works
        except TimeoutError:
            await self.stop()
            raise ChildFailed(f"{self._name} does not begin its work: {self._said()}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends it, by force after a few seconds."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])

    @property
    def pid(self) -> int | None:
        """Of the program that runs now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def _name(self) -> str:
        return Path(self._command[0]).name

    def _said(self) -> str:
        return " / ".join(self._last) or "it said nothing"

    async def _keep(self, works: asyncio.Future[None]) -> None:
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._live(works)
            except OSError as error:
                self._last.append(f"{self._command[0]}: {error.strerror}")
            if not works.done():
                works.set_exception(ChildFailed(f"{self._name} has ended: {self._said()}"))
                return
            lived = asyncio.get_running_loop().time() - began
            failures = 0 if lived > PAUSES_S[-1] else failures + 1
            log.warning("%s has ended and is started again: %s", self._name, self._said())
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S)) - 1])

    async def _live(self, works: asyncio.Future[None]) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if self._stream == "stdout" else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE if self._stream == "stderr" else asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES,
        )
        self._process = process
        if self._ready is None and not works.done():
            works.set_result(None)
        try:
            await self._listen(process, works)
            await process.wait()
        finally:
            await _end(process)

    async def _listen(self, process: asyncio.subprocess.Process, works: asyncio.Future[None]) -> None:
        said = process.stdout or process.stderr
        assert said is not None  # noqa: S101 - it was asked for
        while True:
            try:
                raw = await said.readline()
            except ValueError:  # a line without an end
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip()
            if self._ready and self._ready in line and not works.done():
                works.set_result(None)
            self._last.append(line)
            self._heard(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks it to end, and makes it. A second cancellation does not leave it behind."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(END_S):
            await asyncio.shield(process.wait())
    except (TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def end_left_over(mark: str) -> None:
    """Ends programs that an earlier life of the station has left: those with `mark` as an argument.

    Blocks until they are gone, for `END_S` at most; then they are ended by force.
    """
    found = [folder for folder in Path("/proc").glob("[0-9]*") if _has_argument(folder, mark)]
    for folder in found:
        log.info("ending a program that an earlier start has left: %s", folder.name)
        _send(folder, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while found := [folder for folder in found if _has_argument(folder, mark)]:
        if time.monotonic() > deadline:
            for folder in found:
                _send(folder, signal.SIGKILL)
            return
        time.sleep(0.05)


def _has_argument(folder: Path, mark: str) -> bool:
    try:
        return mark.encode() in (folder / "cmdline").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile
        return False


def _send(folder: Path, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(folder.name), number)
