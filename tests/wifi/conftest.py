"""The guest for the Wi-Fi scenarios: from the cached image, made only by `make test-wifi`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.wifi.vm import image
from tests.wifi.vm.guest import Guest, booted_layer
from tests.wifi.vm.machine import Machine, accelerator

WHOLE = bool(os.environ.get("METEOR_WIFI"))
"""Set by `make test-wifi`: the image is built when it is not there, and every scenario runs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/wifi" in str(item.path):
            item.add_marker(pytest.mark.wifi)
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def guest() -> Iterator[Guest]:
    """A machine with the project in it and the moment `ready` saved."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("no qemu-system-x86_64; `make test-wifi` installs it")
    disk = image.build() if WHOLE else image.cached()
    if disk is None:
        pytest.skip("there is no disk image of the guest yet; `make test-wifi` makes it")
    accel, why = accelerator(disk)
    layer = booted_layer(disk, accel)
    with Machine(disk, accel, layer) as machine:
        machine.start("booted")
        guest = Guest(machine, f"{accel.partition(',')[0]} ({why}), {os.cpu_count()} cores")
        guest.prepare()
        yield guest
