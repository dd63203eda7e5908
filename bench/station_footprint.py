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
import socket
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


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def server_cost(name: str, command: Command, starts: int, idle: float, environment: Environment) -> Cost:
    """The median start of several after an uncounted one, and memory and CPU of the last one."""
    times = []
    for _ in range(starts):
        with running(command, environment) as (_, took):
            times.append(took)
    with running(command, environment) as (process, took):
        times = [*times[1:], took]
        time.sleep(SETTLE_S)
        memory = process.memory_full_info()
        before = process.cpu_times()
        time.sleep(idle)
        after = process.cpu_times()
    busy = (after.user + after.system) - (before.user + before.system)
    return Cost(name, memory.rss / 1e6, memory.pss / 1e6, statistics.median(times), busy / idle * 100)


def python_cost(starts: int) -> Cost:
    """Bare Python: how long it takes to start and end, and its memory while it waits."""
    times = []
    for _ in range(starts):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        times.append(time.perf_counter() - began)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        time.sleep(0.5)
        memory = psutil.Process(process.pid).memory_full_info()
        process.kill()
    return Cost("python -c pass", memory.rss / 1e6, memory.pss / 1e6, statistics.median(times), None)


def table(costs: list[Cost]) -> list[str]:
    """One line a process, then the station's ratios to the others, then the aims."""
    rows = [f"{'process':<16} {'RSS MB':>8} {'PSS MB':>8} {'start s':>8} {'idle CPU %':>11}"]
    for cost in costs:
        cpu = "–" if cost.cpu is None else f"{cost.cpu:.2f}"
        rows.append(f"{cost.name:<16} {cost.rss:>8.1f} {cost.pss:>8.1f} {cost.start:>8.3f} {cpu:>11}")
    own = costs[-1]
    for cost in costs[:-1]:
        ratios = f"{own.rss / cost.rss:>8.2f} {own.pss / cost.pss:>8.2f} {own.start / cost.start:>8.2f}"
        rows.append(f"{'station ÷ ' + cost.name:<16.16} {ratios}")
    rows.append(f"{'aim':<16} {AIMS['memory']:>8.1f} {'':>8} {AIMS['start']:>8.3f} {AIMS['cpu']:>11.2f}")
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--starts", type=int, default=5, help="how often each is started (5)")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of idle CPU (20)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = compiled_in(folder)
        costs = [
            python_cost(arguments.starts),
            server_cost("aiohttp hello", hello, arguments.starts, arguments.idle, environment),
            server_cost("station", station, arguments.starts, arguments.idle, environment),
        ]
    print("\n".join(table(costs)))


if __name__ == "__main__":
    main()
