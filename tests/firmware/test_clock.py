"""The machine's clock: its floor, its quality, and what is kept over a power cut."""

import math
from pathlib import Path

import pytest

from firmware.clock import (
    FUTURE_MOST,
    ClockQuality,
    KernelTime,
    Source,
    SystemClock,
    floor_of,
    keep_time,
    read_kept_time,
    read_kernel_time,
)
from firmware.fakes import FakeClock

BUILT = 1_790_000_000.0
DAY = 86_400.0


class Hands:
    """The hands of the clocks that the machine has, moved by the test."""

    def __init__(self, wall: float, kernel: KernelTime | None = None) -> None:
        self.wall = wall
        self.monotonic = 5.0
        self.kernel = kernel

    def clock(self, root: Path, kept: float | None = None) -> SystemClock:
        return SystemClock(
            built=BUILT,
            kept=kept,
            root=root,
            kernel=lambda: self.kernel,
            wall=lambda: self.wall,
            monotonic=lambda: self.monotonic,
        )

    def after(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_a_right_clock_is_taken_as_it_is(tmp_path: Path) -> None:
    hands = Hands(BUILT + DAY)
    assert hands.clock(tmp_path).wall() == BUILT + DAY


@pytest.mark.parametrize(
    ("kept", "floor"), [(None, BUILT), (BUILT - DAY, BUILT), (BUILT + 3 * DAY, BUILT + 3 * DAY)]
)
def test_a_clock_that_starts_in_1970_shows_the_floor_and_goes_on_from_there(
    kept: float | None, floor: float, tmp_path: Path
) -> None:
    hands = Hands(0.0)
    clock = hands.clock(tmp_path, kept)
    assert clock.wall() == floor
    hands.after(100.0)
    assert clock.wall() == floor + 100.0
    assert clock.quality() == ClockQuality(False, Source.FLOOR, None)


def test_a_time_server_that_answers_late_takes_over_from_the_floor(tmp_path: Path) -> None:
    hands = Hands(0.0)
    clock = hands.clock(tmp_path)
    hands.after(60.0)
    hands.wall, hands.kernel = BUILT + 9 * DAY, KernelTime(True, 0.004)
    assert clock.wall() == BUILT + 9 * DAY
    assert clock.quality() == ClockQuality(True, Source.NTP, 0.004)


def test_a_clock_that_is_set_back_below_what_is_known_does_not_run_backwards(tmp_path: Path) -> None:
    hands = Hands(BUILT + DAY)
    clock = hands.clock(tmp_path)
    clock.raise_floor(BUILT + 2 * DAY)
    assert clock.wall() == BUILT + 2 * DAY
    hands.after(10.0)
    assert clock.wall() == BUILT + 2 * DAY + 10.0
    clock.raise_floor(BUILT + DAY)
    assert clock.wall() == BUILT + 2 * DAY + 10.0


@pytest.mark.parametrize(
    ("kept", "floor"),
    [
        (None, BUILT),
        (BUILT - 1, BUILT),
        (BUILT + 1, BUILT + 1),
        (BUILT + FUTURE_MOST, BUILT + FUTURE_MOST),
        (BUILT + FUTURE_MOST + 1, BUILT),
    ],
)
def test_a_kept_time_counts_unless_it_is_absurd(kept: float | None, floor: float) -> None:
    assert floor_of(BUILT, kept) == floor


@pytest.mark.parametrize(
    ("kernel", "timesyncd", "quality"),
    [
        (None, False, ClockQuality(False, Source.UNKNOWN, None)),
        (KernelTime(False, 16.0), False, ClockQuality(False, Source.UNKNOWN, None)),
        (KernelTime(True, 0.01), False, ClockQuality(True, Source.NTP, 0.01)),
        (KernelTime(True, 0.01), True, ClockQuality(True, Source.NTP, 0.01)),
        (KernelTime(False, 16.0), True, ClockQuality(True, Source.NTP, None)),
        (None, True, ClockQuality(True, Source.NTP, None)),
    ],
)
def test_the_quality_is_what_kernel_and_time_service_say(
    kernel: KernelTime | None, timesyncd: bool, quality: ClockQuality, tmp_path: Path
) -> None:
    if timesyncd:
        (tmp_path / "run/systemd/timesync").mkdir(parents=True)
        (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert Hands(BUILT + DAY, kernel).clock(tmp_path).quality() == quality


def test_a_boot_has_the_kernels_name_for_it(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("11791cfd-dff4-42fa-b6cf-c4004c00ec91\n")
    clock = Hands(BUILT).clock(tmp_path)
    assert clock.boot_id == "11791cfd-dff4-42fa-b6cf-c4004c00ec91"


def test_two_starts_without_a_name_are_still_told_apart(tmp_path: Path) -> None:
    first, second = Hands(BUILT).clock(tmp_path), Hands(BUILT).clock(tmp_path)
    assert first.boot_id == first.boot_id != second.boot_id


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("1790000000\n", BUILT),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-5", None),
        ("1e300", None),
    ],
)
def test_a_kept_time_is_read_or_is_none(content: str, kept: float | None, tmp_path: Path) -> None:
    (tmp_path / "time").write_text(content)
    assert read_kept_time(tmp_path / "time") == kept


def test_without_a_kept_time_there_is_none(tmp_path: Path) -> None:
    assert read_kept_time(tmp_path / "time") is None


def test_a_synchronized_time_is_kept_and_comes_back_as_the_floor(tmp_path: Path) -> None:
    hands = Hands(BUILT + 5 * DAY, KernelTime(True, 0.01))
    assert keep_time(tmp_path / "time", hands.clock(tmp_path))
    after_the_power_cut = Hands(0.0).clock(tmp_path, read_kept_time(tmp_path / "time"))
    assert after_the_power_cut.wall() == BUILT + 5 * DAY
    assert [path.name for path in tmp_path.iterdir()] == ["time"]


def test_a_time_that_nobody_vouches_for_is_not_kept(tmp_path: Path) -> None:
    assert not keep_time(tmp_path / "time", Hands(BUILT + 5 * DAY).clock(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_clocks_of_this_machine_can_be_read() -> None:
    clock = SystemClock(built=BUILT)
    kernel = read_kernel_time()
    assert clock.wall() >= BUILT
    assert clock.boottime() >= clock.monotonic() - 1.0
    assert clock.boot_id == SystemClock(built=BUILT).boot_id
    assert kernel is None or (math.isfinite(kernel.error) and kernel.error >= 0)


async def test_sleeping_takes_time_on_the_monotonic_clock() -> None:
    clock = SystemClock(built=BUILT)
    before = clock.monotonic()
    await clock.sleep(0.05)
    assert clock.monotonic() - before >= 0.045


def test_the_fake_clock_can_be_kept_like_a_real_one(tmp_path: Path) -> None:
    assert keep_time(tmp_path / "time", FakeClock(wall=BUILT))
    assert read_kept_time(tmp_path / "time") == BUILT
