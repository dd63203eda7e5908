"""Machines of a test as Linux network namespaces: made, wired, asked from inside, taken away again.

No test's packet leaves its namespaces: they have no link to the machine's own network.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


class Namespace:
    """One machine's network. Its name is its own among all tests that run at once."""

    def __init__(self, name: str) -> None:
        """One that was made."""
        self.name = name
        self._inside: ThreadPoolExecutor | None = None

    @classmethod
    def made(cls, name: str, *, unique: bool = True) -> Namespace:
        """A new one."""
        space = cls(f"{name}-{os.getpid()}" if unique else name)
        run("ip", "netns", "add", space.name)
        space.ip("link", "set", "lo", "up")
        return space

    def remove(self) -> None:
        """Ends what still runs inside, and takes it away."""
        if self._inside is not None:
            self._inside.shutdown()
        for pid in output("ip", "netns", "pids", self.name).split():
            run("kill", "-KILL", pid, check=False)
        run("ip", "netns", "del", self.name, check=False)

    def run(self, *command: object, check: bool = True, seconds: float = 60) -> str:
        """What a command inside prints, errors included."""
        return run("ip", "netns", "exec", self.name, *command, check=check, seconds=seconds)

    def ip(self, *words: object) -> str:
        """`ip` inside."""
        return run("ip", "-n", self.name, *words)

    def command(self, *command: object) -> list[str]:
        """How a command is called to run inside."""
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def popen(self, *command: object, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Starts a command inside."""
        with Path(log or os.devnull).open("ab") as sink:
            return subprocess.Popen(
                self.command(*command), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            )

    def do(self, work: Callable[[], T]) -> T:
        """The result of a function whose sockets are opened inside."""
        if self._inside is None:
            self._inside = ThreadPoolExecutor(1, self.name, initializer=self._enter)
        return self._inside.submit(work).result()

    def _enter(self) -> None:
        """A namespace belongs to a thread, so the rest of the process stays where it is."""
        assert threading.current_thread() is not threading.main_thread()
        with Path(f"/run/netns/{self.name}").open() as place:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(place.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")

    def sysctl(self, name: str, value: int) -> None:
        """Sets a value below net."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/{name}")


@contextmanager
def taken_away(
    folder: Path, spaces: Sequence[Namespace], programs: Sequence[subprocess.Popen[bytes]]
) -> Iterator[None]:
    """At the end, however it comes: the programs, then the namespaces, then the folder."""
    try:
        yield
    finally:
        for program in programs:
            with suppress(ProcessLookupError):
                program.kill()
            program.wait()
        for space in spaces:
            space.remove()
        shutil.rmtree(folder, ignore_errors=True)


def wire(one: Namespace, inner: str, other: Namespace, outer: str) -> None:
    """A cable from `inner` in `one` to `outer` in `other`, both ends up."""
    run(
        "ip", "-n", one.name, "link", "add", inner, "type", "veth", "peer", "name", outer, "netns", other.name
    )
    for space, interface in ((one, inner), (other, outer)):
        space.ip("link", "set", interface, "up")


def run(*command: object, check: bool = True, seconds: float = 60) -> str:
    """What a command prints, errors included. Fails with it when `check` and it does not end well."""
    words: Sequence[str] = [str(word) for word in command]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds
    )
    said = done.stdout.decode(errors="replace")
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{said}"
    return said


def output(*command: object) -> str:
    """What a command prints, whatever becomes of it."""
    return run(*command, check=False)


def why_no_namespaces(*programs: str) -> str:
    """What is missing for such tests here, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [each for each in ("ip", *programs) if shutil.which(each) is None]:
        return f"these programs are missing: {', '.join(missing)}"
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    return "" if probe.returncode == 0 else f"no network namespaces here: {probe.stderr.strip()}"


def why_no_packet_filter() -> str:
    """What the hotspot's rules lack here, tried in a namespace of their own; or nothing."""
    rules = (
        "table inet try { chain a { type nat hook prerouting priority dstnat; tcp dport 80 redirect to :81; }"
        "; chain b { type filter hook input priority -10; tcp dport 443 reject with tcp reset; }; }"
    )
    tried = subprocess.run(["unshare", "-n", "nft", rules], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"this kernel lacks nf_tables: {tried.stderr.strip()}"
