"""Fixtures of the cloud's tests: secrets, a running cloud, databases of both kinds."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import aiohttp
import pytest
from blockbuster import blockbuster_ctx

from cloud.security.vault import Secrets, Vault
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from tests.cloud import people_client, postgres
from tests.cloud.cloud_process import CloudProcess
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

_numbers = count(1)
_KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
CONTRACT = {
    "test_administration.py",
    "test_api_tokens.py",
    "test_batches.py",
    "test_claims.py",
    "test_device_auth.py",
    "test_events.py",
    "test_extremes.py",
    "test_heartbeats.py",
    "test_interface.py",
    "test_kept.py",
    "test_legacy.py",
    "test_matrix.py",
    "test_place.py",
    "test_realtime.py",
    "test_renewal.py",
    "test_replacement.py",
    "test_restated.py",
    "test_revocation.py",
    "test_sessions.py",
    "test_sharing.py",
    "test_station_socket.py",
    "test_uploads.py",
}
"""Files whose tests with `cloud` run on SQLite and PostgreSQL: the HTTP contract."""
_EVERY_ROW = os.environ.get("METEOR_POSTGRES") == "all"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The contract on both databases; with `METEOR_POSTGRES=all`, whatever asks a cloud."""
    if "cloud_database" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if marks & {"browser", "e2e"}:
        return
    if _EVERY_ROW or metafunc.definition.path.name in CONTRACT:
        metafunc.parametrize("cloud_database", _KINDS, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a table of cases PostgreSQL takes the first; SQLite, and `METEOR_POSTGRES=all`, take them all.

    The rows differ in what they ask for, and hardly in their SQL.
    """
    if _EVERY_ROW:
        return
    seen: set[str] = set()
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        test = item.nodeid.partition("[")[0]
        there = _on_postgres(item)
        (left if there and test in seen else kept).append(item)
        if there:
            seen.add(test)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _on_postgres(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("cloud_database") == "postgres"


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
def cloud_database(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """The URL of a database with every table and no row, for `tmp_path / "cloud"`. None: SQLite there."""
    if getattr(request, "param", "sqlite") == "postgres":
        url: str = request.getfixturevalue("migrated_postgres")
        postgres.empty(url)
        return url
    folder = tmp_path / "cloud"
    folder.mkdir()
    shutil.copy(request.getfixturevalue("migrated_file"), folder / "cloud.db")
    return None


@pytest.fixture
async def cloud(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, cloud_database: str | None
) -> AsyncIterator[Cloud]:
    """A cloud in this process."""
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, cloud_database) as running:
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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite's file after the migrations: to copy it takes 10 ms, to make it 270."""
    path = tmp_path_factory.mktemp("migrated") / "cloud.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_socket: Path) -> str:
    """One database, emptied for each test: that takes 27 ms, to copy a template and drop it 65."""
    url = postgres.new_database(postgres_socket, "contract")
    _migrate(url)
    return url


def _migrate(url: str) -> None:
    database = Database(url)
    upgrade(database)
    database.close()


@pytest.fixture(params=_KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    folder: Path = request.getfixturevalue("postgres_socket")
    return postgres.new_database(folder, f"t{next(_numbers)}")
