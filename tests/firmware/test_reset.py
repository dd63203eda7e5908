"""The factory reset: its plan, and what is left when it is cut off anywhere."""

import asyncio
import logging
from pathlib import Path

import pytest

from firmware.errors import ResetFailed
from firmware.reset import Extent, FactoryReset, Holding, Remover, plan_reset

H = Holding
REMOVED = (H.CREDENTIALS, H.CLAIM_CARD, H.CONFIGURATION, H.NETWORKS)
KEPT = (H.CLOCK_FLOOR, H.BOOT_COUNTER, H.SETTINGS)


class PowerCut(BaseException):
    """The end of the program in the middle of things; no handler for errors may catch it."""


class Station:
    """A folder with one file for each holding, and removers that a test can let fail."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.marker = root / "reset-pending"
        self.order: list[Holding] = []
        self.fails: dict[Holding, BaseException] = {}
        for holding in Holding:
            (root / holding).write_text("x")

    def reset(self) -> FactoryReset:
        return FactoryReset(self.marker, {holding: self._remover(holding) for holding in Holding})

    def left(self) -> set[str]:
        return {path.name for path in self.root.iterdir()} - {self.marker.name}

    def _remover(self, holding: Holding) -> Remover:
        async def remove() -> None:
            assert self.marker.exists()
            self.order.append(holding)
            if holding in self.fails:
                raise self.fails[holding]
            (self.root / holding).unlink(missing_ok=True)

        return remove


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


def test_a_reset_removes_what_is_the_owners_and_keeps_the_events() -> None:
    plan = plan_reset()
    assert plan.remove == REMOVED
    assert plan.keep == (H.EVENTS, *KEPT)
    assert plan.extent is Extent.OWNER


def test_the_greatest_extent_removes_the_events_as_well() -> None:
    plan = plan_reset(Extent.ALL)
    assert plan.remove == (*REMOVED, H.EVENTS)
    assert plan.keep == KEPT


def test_the_mildest_extent_removes_the_networks_alone() -> None:
    plan = plan_reset(Extent.NETWORKS)
    assert plan.remove == (H.NETWORKS,)
    assert set(plan.keep) == set(Holding) - {H.NETWORKS}


@pytest.mark.parametrize("extent", Extent)
def test_every_holding_is_either_removed_or_kept(extent: Extent) -> None:
    plan = plan_reset(extent)
    assert sorted(plan.remove + plan.keep) == sorted(Holding)


@pytest.mark.parametrize("extent", Extent)
async def test_after_a_reset_only_what_is_kept_is_left(extent: Extent, station: Station) -> None:
    plan = await station.reset().run(extent)
    assert plan == plan_reset(extent)
    assert station.order == list(plan.remove)
    assert station.left() == set(plan.keep)
    assert not station.marker.exists()


@pytest.mark.parametrize("extent", Extent)
@pytest.mark.parametrize("cut_at", [*REMOVED, H.EVENTS])
async def test_a_reset_that_was_cut_off_anywhere_is_finished_at_the_next_start(
    cut_at: Holding, extent: Extent, station: Station
) -> None:
    station.fails[cut_at] = PowerCut()
    if cut_at in plan_reset(extent).remove:
        with pytest.raises(PowerCut):
            await station.reset().run(extent)
        assert station.marker.exists()
        station.fails.clear()
        assert await station.reset().finish_pending() == plan_reset(extent)
    else:
        await station.reset().run(extent)
    assert station.left() == set(plan_reset(extent).keep)
    assert await station.reset().finish_pending() is None


async def test_one_holding_that_stays_does_not_protect_the_others(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    station.fails[H.CREDENTIALS] = OSError("read-only")
    with pytest.raises(ResetFailed, match="could not remove: credentials") as failure:
        await station.reset().run()
    assert failure.value.code == "HW-005"
    assert station.left() == {H.CREDENTIALS, H.EVENTS, *KEPT}
    assert "read-only" in caplog.text
    station.fails.clear()
    await station.reset().finish_pending()
    assert station.left() == {H.EVENTS, *KEPT}


async def test_a_reset_that_is_cancelled_is_finished_at_the_next_start(station: Station) -> None:
    station.fails[H.NETWORKS] = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await station.reset().run()
    station.fails.clear()
    assert await station.reset().finish_pending() == plan_reset()


@pytest.mark.parametrize("wished", Extent)
@pytest.mark.parametrize("pending", Extent)
async def test_a_pending_reset_becomes_no_milder_whatever_is_asked_next(
    pending: Extent, wished: Extent, station: Station
) -> None:
    station.fails[H.NETWORKS] = PowerCut()
    with pytest.raises(PowerCut):
        await station.reset().run(pending)
    station.fails.clear()
    done = await station.reset().run(wished)
    assert list(Extent).index(done.extent) == max(map(list(Extent).index, (pending, wished)))


MARKERS = [
    *[(content, Extent.OWNER) for content in ("", "{", "[]", "null", '{"purge": "yes"}', "\0\0", "7")],
    ('{"extent": "everything"}', Extent.OWNER),
    ('{"extent": ["all"]}', Extent.OWNER),
    ('{"extent": "networks"}', Extent.NETWORKS),
    ('{"extent": "all"}', Extent.ALL),
    ('{"purge": false}', Extent.OWNER),  # as versions before wrote it
    ('{"purge": true}', Extent.ALL),
]


@pytest.mark.parametrize(("content", "extent"), MARKERS)
async def test_a_marker_that_cannot_be_read_resets_but_never_removes_events(
    content: str, extent: Extent, station: Station
) -> None:
    station.marker.write_text(content)
    assert await station.reset().finish_pending() == plan_reset(extent)


async def test_without_a_marker_a_start_removes_nothing(station: Station) -> None:
    assert await station.reset().finish_pending() is None
    assert station.left() == set(Holding)


def test_a_reset_that_could_not_remove_everything_is_refused_when_it_is_built(tmp_path: Path) -> None:
    async def remove() -> None:
        return None

    with pytest.raises(ValueError, match="no remover for networks, events"):
        FactoryReset(
            tmp_path / "marker", dict.fromkeys((H.CREDENTIALS, H.CLAIM_CARD, H.CONFIGURATION), remove)
        )
