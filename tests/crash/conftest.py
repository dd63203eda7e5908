"""Fixtures of the crash matrix: the library that numbers steps, nurseries, a running cloud."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.security.vault import Secrets, Vault
from tests.crash.receiver import Receiver, receiving

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.crash)


@pytest.fixture(scope="session")
def steps_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`steps.c`, compiled."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the steps of a station cannot be counted")
    library = tmp_path_factory.mktemp("steps") / "steps.so"
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Werror",
        "-o",
        str(library),
        str(HERE / "steps.c"),
    ]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    return library


@pytest.fixture(scope="session")
def crash_secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    """The cloud's keys."""
    vault = Vault(tmp_path_factory.mktemp("secrets"))
    vault.make_authority()
    vault.make_missing_keys()
    return vault.load()


@pytest.fixture
async def receiver(tmp_path: Path, crash_secrets: Secrets) -> AsyncIterator[Receiver]:
    """A cloud in this process."""
    async with receiving(tmp_path / "cloud", crash_secrets) as running:
        yield running
