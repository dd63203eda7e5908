"""Fixtures of the network faults: one pair of station and cloud for all of them, for each kind of link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.netfaults import links, namespaces
from tests.netfaults.pair import Pair
from tests.netfaults.rounds import Round


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/netfaults" in str(item.path) and item.path.name != "test_tools.py":
            item.add_marker(pytest.mark.netfaults)
            item.add_marker(pytest.mark.timeout(300))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Faults of packets are tried over every kind of link, the others over our own emulator."""
    if "rounds" in metafunc.fixturenames:
        kinds = list(links.KINDS) if metafunc.definition.get_closest_marker("every_link") else ["tun"]
        metafunc.parametrize("rounds", kinds, indirect=True, scope="package")


@pytest.fixture(scope="package")
def rounds(request: pytest.FixtureRequest) -> Iterator[Round]:
    """A pair that runs and is claimed; what earlier tests handed in has arrived."""
    kind: str = request.param
    if reason := namespaces.obstacle() or links.obstacle(kind):
        pytest.skip(reason)
    pair = Pair(kind)
    yield Round(pair)
    pair.close()


@pytest.fixture
def round_(rounds: Round) -> Iterator[Round]:
    """A round of this test: whatever it breaks is mended at the end."""
    rounds.begin()
    yield rounds
    rounds.pair.heal()
