"""The guest for the Wi-Fi scenarios. `make test-wifi` and `make test` make its disk, bare pytest does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wifi.vm import image
from tests.wifi.vm.guest import Guest, booted_layer
from tests.wifi.vm.machine import Machine, MachineFailed, accelerator

WISH = os.environ.get("METEOR_WIFI", "")
"""`all` by `make test-wifi`, `sample` by `make test`: both make the disk when it is not there."""
WHOLE = WISH == "all"
ROUNDS = int(os.environ.get("METEOR_WIFI_ROUNDS", "1"))
"""How often each scenario runs, for percentiles."""
LIMIT_S = 1800 * ROUNDS if WHOLE else 900
"""Of one test, with making the disk and booting for the first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/wifi" in str(item.path):
            item.add_marker(pytest.mark.wifi)
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def guest() -> Iterator[Guest]:
    """A machine with the project in it and the moment `ready` saved.

    Where the machine cannot be had, `make test` skips with the reason and `make test-wifi` fails with it.
    """
    disk, layer, accel, why = _ready()
    with Machine(disk, accel, layer) as machine:
        machine.start("booted")
        guest = Guest(machine, f"{accel.partition(',')[0]} ({why}), {os.cpu_count()} cores")
        guest.prepare()
        yield guest


def _ready() -> tuple[image.Image, Path, str, str]:
    """The disk, its booted layer, the accelerator and why it was chosen."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("no qemu-system-x86_64; `make test-wifi` installs it")
    try:
        disk = image.build() if WISH else image.cached()
        if disk is None:
            pytest.skip("there is no disk of the guest yet; `make test-wifi` makes it")
        accel, why = accelerator(disk)
        return disk, booted_layer(disk, accel), accel, why
    except (image.ImageUnavailable, MachineFailed) as failure:
        if WHOLE:
            raise
        pytest.skip(f"no virtual machine here: {failure}")
