"""The disk refuses at every call that changes it: nothing acknowledged is lost, and work goes on after."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EVERY = os.environ.get("DISK_FAULTS") == "all"
"""`make test-crash` lets every call fail; a plain run every seventh, another one for each kind of fault."""
STEP = 1 if EVERY else 7
KINDS = [
    (name, number, lasting)
    for name, number in (("ENOSPC", errno.ENOSPC), ("EIO", errno.EIO), ("EROFS", errno.EROFS))
    for lasting in (False, True)
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    made = tmp_path_factory.mktemp("shim") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


def sweep(shim: Path, folder: Path, number: int, lasting: bool, offset: int) -> list[dict[str, Any]]:
    """What came of each n, the last one being the first that nothing was left to fail for."""
    command = [sys.executable, "-m", "tests.buffer.faulty", str(folder), str(number), str(int(lasting))]
    done = subprocess.run(
        [*command, str(STEP), str(offset % STEP)],
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("number", "lasting", "offset"),
    [(number, lasting, offset) for offset, (_, number, lasting) in enumerate(KINDS)],
    ids=[f"{name}, {'until lifted' if lasting else 'once'}" for name, _, lasting in KINDS],
)
def test_whichever_call_the_disk_refuses_nothing_is_lost_and_work_goes_on(
    shim: Path, tmp_path: Path, number: int, lasting: bool, offset: int
) -> None:
    told = sweep(
        shim,
        tmp_path / "nights",
        number,
        lasting,
        KINDS.index(next(k for k in KINDS if k[1:] == (number, lasting))),
    )
    assert [row for row in told if row["wrong"]] == []
    assert not told[-1]["fired"], "it went on until no call was left to fail"
    struck = [row for row in told if row["fired"]]
    assert len(struck) >= 40 // STEP
    assert any(row["codes"] for row in struck), "some of it was refused, with a code and a remedy"


def test_the_sweep_reaches_every_kind_of_call(shim: Path, tmp_path: Path) -> None:
    if not EVERY:
        pytest.skip("only with DISK_FAULTS=all, as in make test-crash")
    hit = {
        row["at"].split()[0] for row in sweep(shim, tmp_path / "nights", errno.EIO, False, 0) if row["fired"]
    }
    assert {"write", "pwrite", "open", "mkdir", "rename", "fsync", "fdatasync", "fallocate"} <= hit
