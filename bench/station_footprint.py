"""What a station costs: memory, time to its first page and idle CPU, beside bare Python and a bare aiohttp.

Run with `python -m bench.station_footprint [--starts N] [--idle SECONDS]`. The real program runs with
`--simulate` in a temporary folder, with its bytecode compiled by a first start that is not counted, as it is
where it was installed. Absolute numbers depend on the machine and on what else runs; the ratios to the two
bare processes of the same run are what can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.buffer.tables import markdown
from scripts.processes import free_port

SETTLE_S = 10.0
START_LIMIT_S = 60.0
AIMS = {"memory": 60.0, "start": 0.3, "cpu": 1.0}
"""MB resident, seconds to the first page, per cent of one core."""

HELLO = """
import sys
from aiohttp import web

async def hello(request):
    return web.Response(text="hello")

app = web.Application()
app.add_routes([web.get("/", hello)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""

Command = Callable[[Path, int], list[str]]
Environment = dict[str, str]


@dataclass(frozen=True)
class Cost:
    """MB, seconds, per cent of one core. None where it cannot be measured."""

    name: str
    rss: float
    pss: float
    start: float
    cpu: float | None


def station(folder: Path, port: int) -> list[str]:
    """The product, with a simulated radio and no cloud."""
    settings = ["--set", "portal.host=127.0.0.1", "--set", f"portal.port={port}"]
    cloud = ["--set", "cloud.url=http://127.0.0.1:1"]
    program = str(Path(sys.executable).parent / "meteor-appliance")
    return [program, "--data-dir", str(folder), *settings, *cloud, "run", "--simulate"]


def hello(_folder: Path, port: int) -> list[str]:
    """The smallest aiohttp server."""
    return [sys.executable, "-c", HELLO, str(port)]


PYTHON = "python -c pass"
SERVERS: dict[str, Command] = {"bare aiohttp server": hello, "the station": station}


def compiled_in(folder: str) -> Environment:
    """This environment, with bytecode kept in a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": folder}


@contextlib.contextmanager
def running(command: Command, environment: Environment) -> Iterator[tuple[psutil.Process, float]]:
    """A server that has answered its first page, and the seconds from exec to that."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        began = time.perf_counter()
        process = subprocess.Popen(
            command(Path(folder) / "data", port),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        try:
            took = first_page(port, began, process)
            yield psutil.Process(process.pid), took
        finally:
            process.terminate()
            process.wait()


def first_page(port: int, began: float, process: subprocess.Popen[bytes]) -> float:
    """Seconds from `began` to the first HTTP 200. Raises `RuntimeError` when there is none."""
    while time.perf_counter() - began < START_LIMIT_S:
        if process.poll() is not None:
            raise RuntimeError(f"the process ended with {process.returncode} before its first page")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
                response.read()
                return time.perf_counter() - began
        except OSError:
            time.sleep(0.005)
    raise RuntimeError("no page in time")


def start_times(starts: int, environment: Environment) -> dict[str, list[float]]:
    """Seconds of each start, the programs taking turns; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in (PYTHON, *SERVERS)}
    for _ in range(starts + 1):
        times[PYTHON].append(python_start())
        for name, command in SERVERS.items():
            with running(command, environment) as (_process, took):
                times[name].append(took)
    return {name: taken[1:] for name, taken in times.items()}


def python_start() -> float:
    """Seconds that bare Python takes to start and end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def python_memory() -> tuple[float, float]:
    """MB resident and proportional of a Python that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        time.sleep(0.5)
        memory = psutil.Process(process.pid).memory_full_info()
        process.kill()
    return memory.rss / 1e6, memory.pss / 1e6


def at_rest(command: Command, idle: float, environment: Environment) -> tuple[float, float, float]:
    """MB resident and proportional, and per cent of one core, of a server that nobody asks anything."""
    with running(command, environment) as (process, _):
        time.sleep(SETTLE_S)
        memory = process.memory_full_info()
        before = process.cpu_times()
        time.sleep(idle)
        after = process.cpu_times()
    busy = (after.user + after.system) - (before.user + before.system)
    return memory.rss / 1e6, memory.pss / 1e6, busy / idle * 100


def costs(starts: int, idle: float) -> list[Cost]:
    """Bare Python, bare aiohttp and the station, which is the last; starts are medians."""
    with tempfile.TemporaryDirectory() as folder:
        environment = compiled_in(folder)
        times = start_times(starts, environment)
        measured = [Cost(PYTHON, *python_memory(), statistics.median(times[PYTHON]), None)]
        for name, command in SERVERS.items():
            rss, pss, cpu = at_rest(command, idle, environment)
            measured.append(Cost(name, rss, pss, statistics.median(times[name]), cpu))
    return measured


def table(measured: list[Cost]) -> list[str]:
    """One line a process, then the station's ratios to the others, then the aims."""
    rows: list[tuple[str, ...]] = []
    for cost in measured:
        cpu = "–" if cost.cpu is None else f"{cost.cpu:.2f} %"
        rows.append((cost.name, f"{cost.rss:.1f} MB", f"{cost.pss:.1f} MB", f"{cost.start:.3f} s", cpu))
    own = measured[-1]
    for cost in measured[:-1]:
        ratios = (own.rss / cost.rss, own.pss / cost.pss, own.start / cost.start)
        rows.append((f"{own.name} ÷ {cost.name}", *(f"{ratio:.2f}" for ratio in ratios), ""))
    rows.append(("aim", f"{AIMS['memory']:.0f} MB", "", f"{AIMS['start']} s", f"{AIMS['cpu']:.0f} %"))
    return markdown(("process", "memory (RSS)", "memory (PSS)", "start to first page", "idle CPU"), rows)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--starts", type=int, default=5, help="how often each is started (5)")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of idle CPU (20)")
    arguments, _ = parser.parse_known_args()
    print("\n".join(table(costs(arguments.starts, arguments.idle))))


if __name__ == "__main__":
    main()
