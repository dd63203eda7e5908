"""A memory card, modelled: the same store with 5 and 20 ms added to every sync. No real card was measured.

The two latencies are assumptions about slow cards. What the model shows is how puts that wait together share
a sync, which is what counts on a card; how a card wears or fails is not in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.buffer.starts import work

LATENCIES_MS = (5, 20)
_SOURCE = Path(__file__).with_name("slow_sync.c")


def compiled(folder: Path) -> Path | None:
    """The library that waits at every sync; None without gcc."""
    if shutil.which("gcc") is None:
        return None
    library = folder / "slow_sync.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
    return library


def card(folder: Path, seconds: int = 3) -> dict[int, dict[str, float]]:
    """By latency: plain appends a second, and puts a second by so many producers. Empty without gcc."""
    library = compiled(folder)
    if library is None:
        return {}
    found = {}
    for latency in LATENCIES_MS:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            environment = os.environ | {"LD_PRELOAD": str(library)}
            found[latency] = work("slow", Path(own), latency, seconds, environment=environment)
    return found
