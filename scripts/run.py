"""`make run`: the cloud and one simulated station as real processes, what to do next, and a clean end."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from appliance.network.scenario import DEFAULT_SCENARIO, parse

BIN = Path(sys.executable).parent
START_S = 60.0
STOP_S = 15.0


class Failed(Exception):
    """Ends the run with one clear message."""


def main() -> int:
    """Runs until Ctrl-C. Exit code 1 with a reason when something cannot start or dies."""
    arguments = _arguments()
    data: Path = arguments.data
    for ending in (signal.SIGTERM, signal.SIGINT):  # also where whoever started it ignores Ctrl-C
        signal.signal(ending, _interrupt)
    processes: list[tuple[str, subprocess.Popen[bytes]]] = []
    try:
        for name in ("cloud_port", "portal_port"):
            _check_free(getattr(arguments, name), name.upper())
        if arguments.clean and data.exists():
            shutil.rmtree(data)
        data.mkdir(parents=True, exist_ok=True)
        _start_cloud(processes, data, arguments.cloud_port)
        _start_station(processes, data, arguments.cloud_port, arguments.portal_port)
        print(_welcome(data, arguments.cloud_port, arguments.portal_port), flush=True)
        _wait_for_an_end(processes, data)
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
        return 0
    except Failed as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    finally:
        _stop(processes)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("run-data"))
    parser.add_argument("--cloud-port", type=int, default=8800)
    parser.add_argument("--portal-port", type=int, default=8801)
    parser.add_argument("--clean", action="store_true", help="begin with an empty disk")
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Failed(
                f"Port {port} is in use. Stop the other program, or choose: make run {variable}=9000"
            ) from None


def _start_cloud(processes: list[tuple[str, subprocess.Popen[bytes]]], data: Path, port: int) -> None:
    command: list[str | Path] = [
        *(BIN / "meteor-cloud", "run", "--development", "--host", "127.0.0.1"),
        *("--port", str(port), "--data-dir", data / "cloud"),
    ]
    processes.append(("cloud", _start(command, data / "cloud.log")))
    _wait_for(f"http://127.0.0.1:{port}/health", processes[-1], data)


def _start_station(
    processes: list[tuple[str, subprocess.Popen[bytes]]], data: Path, cloud_port: int, portal_port: int
) -> None:
    values = {
        "cloud.url": f"http://127.0.0.1:{cloud_port}",
        "portal.host": "127.0.0.1",
        "portal.port": str(portal_port),
        "sources.settle_seconds": "2",
    }
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    command: list[str | Path] = [
        BIN / "meteor-appliance",
        "--data-dir",
        data / "station",
        *settings,
        "run",
        "--simulate",
    ]
    processes.append(("station", _start(command, data / "station.log")))
    _wait_for(f"http://127.0.0.1:{portal_port}/health", processes[-1], data)


def _start(command: list[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C reaches only us and we stop both in order."""
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def _wait_for(url: str, process: tuple[str, subprocess.Popen[bytes]], data: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        _check_alive(process, data)
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise Failed(f"The {process[0]} did not answer at {url}. See {data / process[0]}.log")


def _check_alive(process: tuple[str, subprocess.Popen[bytes]], data: Path) -> None:
    name, running = process
    if running.poll() is None:
        return
    log = data / f"{name}.log"
    last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise Failed(f"The {name} ended with exit code {running.returncode}. The last lines of {log}:\n{last}")


def _wait_for_an_end(processes: list[tuple[str, subprocess.Popen[bytes]]], data: Path) -> None:
    while True:
        for process in processes:
            _check_alive(process, data)
        time.sleep(0.5)


def _stop(processes: list[tuple[str, subprocess.Popen[bytes]]]) -> None:
    """The station first, so that it can still say good-bye."""
    for _, process in reversed(processes):
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _welcome(data: Path, cloud_port: int, portal_port: int) -> str:
    account = (data / "cloud" / "demo-account.txt").read_text().split()
    station = data / "station"
    home = parse(DEFAULT_SCENARIO).networks[0]
    return f"""
  Meteor station and cloud are running. Ctrl-C stops both; the data stay in {data}/.

  Cloud     http://127.0.0.1:{cloud_port}/     sign in as {account[0]} with {account[1]}
  Station   http://127.0.0.1:{portal_port}/     as a phone sees it on the setup hotspot

  What to do next
  1. Open the station, choose the network "{home.name}" and type its password:  {home.password}
     (type a wrong one first, to see what happens)
  2. Open the cloud, sign in, press "Add station", and type the short id and the PIN from the
     claim card; the page turns green by itself.
  3. Hand in an event with a picture; it appears on the station's page within seconds:
       cp photo.jpg {station}/spool/
     or, with more to say about it:
       curl --unix-socket {station}/run/ingest.sock http://station/ingest/v1/events \\
         -F 'event={{"event_type":"meteor","timestamp":"2026-01-01T00:00:00Z"}}' -F file=@photo.jpg

  What the station is doing:  .venv/bin/meteor-appliance --data-dir {station} status
  Logs: {data}/cloud.log and {data}/station.log
"""


if __name__ == "__main__":
    raise SystemExit(main())
