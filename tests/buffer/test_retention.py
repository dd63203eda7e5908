"""Storage rules for media: uploaded files go first, others survive until the hard limit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.capacity import Limits
from buffer.gaps import Gap
from buffer.media import MediaStore
from buffer.message import Draft, Priority
from buffer.retention import DAY_SECONDS, GB, MediaRules, StoredFile, plan
from buffer.store import Store
from buffer.upkeep import Upkeep
from tests.buffer.world import draft

RULES = MediaRules(max_storage_gb=10, hard_storage_gb=12, retention_days=7)


def stored(name: str, gb: float, days: float, *, uploaded: bool, held: bool = False) -> StoredFile:
    return StoredFile(name, int(gb * GB), days * DAY_SECONDS, uploaded, held)


UP8, UP6, UP1 = (stored(f"up{n}", 2, n, uploaded=True) for n in (8, 6, 1))
WAIT9, WAIT3 = (stored(f"wait{n}", 4, n, uploaded=False) for n in (9, 3))


@pytest.mark.parametrize(
    ("files", "rules", "trusted", "removed", "lost"),
    [
        ([UP8, UP6, UP1], RULES, True, ["up8"], []),
        ([UP8, UP6, UP1], RULES, False, [], []),
        ([UP8, UP6, UP1], MediaRules(10, 12, 7, auto_cleanup=False), True, [], []),
        ([WAIT9, WAIT3], RULES, True, [], []),
        ([WAIT9, WAIT3, UP6, UP1], RULES, True, ["up6"], []),
        ([WAIT9, WAIT3, UP6, UP1], MediaRules(1, 12, 7), True, ["up6", "up1"], []),
        ([WAIT9, WAIT3], MediaRules(1, 6, 7), True, [], ["wait9"]),
        ([WAIT9, UP6, UP1], MediaRules(1, 5, 7, auto_cleanup=False), True, ["up6", "up1"], []),
        ([stored("w", 8, 9, uploaded=False, held=True)], MediaRules(1, 2, 7), True, [], []),
    ],
)
def test_who_has_to_go(
    files: list[StoredFile], rules: MediaRules, trusted: bool, removed: list[str], lost: list[str]
) -> None:
    chosen = plan(files, rules, clock_trusted=trusted)
    assert [file.sha256 for file in chosen.remove] == removed
    assert [file.sha256 for file in chosen.lose] == lost


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.booleans(), st.booleans()), max_size=20))
def test_nothing_unsent_is_lost_while_the_rest_is_below_the_hard_limit(
    raw: list[tuple[int, int, bool, bool]],
) -> None:
    files = [stored(str(n), gb, days, uploaded=up, held=held) for n, (gb, days, up, held) in enumerate(raw)]
    chosen = plan(files, RULES, clock_trusted=True)
    gone = set(chosen.remove) | set(chosen.lose)
    assert not any(file.held for file in gone)
    assert all(file.uploaded for file in chosen.remove)
    must_stay = sum(file.size for file in files if not file.uploaded or file.held)
    if must_stay <= RULES.hard_storage_gb * GB:
        assert chosen.lose == ()
    left = [file for file in files if file not in gone]
    if sum(file.size for file in left) > RULES.hard_storage_gb * GB:
        assert all(file.held for file in left)


async def test_uploaded_files_stay_for_a_while_and_then_go(tmp_path: Path, store: Store) -> None:
    media = MediaStore(tmp_path / "media", store, keep_uploaded=True)
    refs = []
    for name in ("sent", "unsent"):
        source = tmp_path / name
        source.write_bytes(name.encode())
        ref = await media.add_file(source, "a/b", name, "frame", move=False)
        receipt = await store.put(Draft("event", b"", Priority.HIGH, media=(ref,)))
        await media.release(ref.sha256)
        refs.append((ref, receipt))
    (sent, first), (unsent, _) = refs
    await store.ack([first.id])
    assert await media.collect(store.take_freed_media()) == 0
    assert (await media.sweep()).removed == 0
    assert (await media.tidy(RULES, clock_trusted=True)).remove == ()
    for path in (tmp_path / "media").glob("??/*"):
        os.utime(path, (1, 1))
    chosen = await media.tidy(RULES, clock_trusted=True)
    assert [file.sha256 for file in chosen.remove] == [sent.sha256]
    assert await media.verify(unsent.sha256) is True


async def test_a_round_of_chores_reports_what_was_given_up(tmp_path: Path, path: Path) -> None:
    def report(gaps: Sequence[Gap]) -> Draft:
        return Draft("gaps", f"{sum(gap.count for gap in gaps)}".encode(), Priority.CRITICAL)

    limits = Limits(max_count=10, eviction_batch=1)
    async with await Store.open(path, limits=limits) as store:
        for _ in range(6):  # four places are open to all
            await store.put(draft(Priority.LOW))
        chores = Upkeep(
            store,
            MediaStore(tmp_path / "media", store),
            lambda: RULES,
            clock_trusted=lambda: True,
            report=report,
        )
        await chores.once()
        [message] = await store.lease(1)
        assert message.payload == b"2"
