"""Fixtures of the tests with rubbish: a cloud whose rates are out of the way."""

from __future__ import annotations

import pytest

from cloud.security.limits import Limits
from protocol import server_log
from tests.cloud.conftest import (
    cloud,
    cloud_database,
    database_url,
    migrated_file,
    migrated_postgres,
    moved_clock,
    postgres_socket,
    process,
    pytest_generate_tests,
    secrets,
    session,
)

__all__ = [
    "cloud",
    "cloud_database",
    "database_url",
    "migrated_file",
    "migrated_postgres",
    "moved_clock",
    "postgres_socket",
    "process",
    "pytest_generate_tests",
    "secrets",
    "session",
]


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates would answer in the place of the parsers; `tests/cloud/test_limits.py` has them."""

    server_log.tame()  # as the processes do

    async def take(*_: object) -> None: ...

    monkeypatch.setattr(Limits, "take", take)
