"""Fixtures of the cloud's tests: secrets, a running cloud, databases of both kinds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import aiohttp
import pytest
from blockbuster import blockbuster_ctx

from cloud.security.vault import Secrets, Vault
from tests.cloud import people_client, postgres
from tests.cloud.cloud_process import CloudProcess
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

_numbers = count(1)


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    """One authority for all tests: making keys is slow, and nothing changes them."""
    vault = Vault(tmp_path_factory.mktemp("secrets"))
    vault.make_authority()
    vault.make_missing_keys()
    return vault.load()


@pytest.fixture
def moved_clock() -> Clock:
    return Clock()


@pytest.fixture
async def cloud(tmp_path: Path, secrets: Secrets, moved_clock: Clock) -> AsyncIterator[Cloud]:
    """A cloud in this process."""
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock) as running:
        yield running


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[CloudProcess]:
    """A cloud in a process of its own, which a test may kill."""
    running = CloudProcess(tmp_path / "cloud")
    await asyncio.to_thread(running.start)
    try:
        yield running
    finally:
        await asyncio.to_thread(running.kill)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Requests to it."""
    async with people_client.session() as client:
        yield client


@pytest.fixture
def no_blocking(cloud: Cloud) -> Iterator[None]:
    """From here on a blocking call of the cloud in the event loop is an error, and so a failed request."""
    assert cloud.settings
    with blockbuster_ctx("cloud"):
        yield


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """A private PostgreSQL server for the whole run."""
    if postgres.programs() is None:
        pytest.skip("PostgreSQL is not installed: no initdb (Debian: apt install postgresql)")
    with postgres.cluster() as folder:
        yield folder


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    folder: Path = request.getfixturevalue("postgres_socket")
    return postgres.new_database(folder, f"t{next(_numbers)}")
