"""Which media files may go and which must stay; pure, the files are deleted elsewhere.

The rules, in this order:
1. A file that somebody holds, or that is being sent, stays.
2. Uploaded files go when they are older than the retention, as far as the clock can be trusted.
3. Above the limit uploaded files go, the oldest first.
4. Files that are not uploaded yet survive all that. Only above the hard limit the oldest of them go, so that
   the station can go on recording; each of these is a loss, and told as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DAY_SECONDS = 86_400.0
GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class MediaRules:
    """The owner's wishes. `auto_cleanup` off keeps uploaded files until the hard limit; `pack` makes files
    smaller that shrink by a fifth."""

    max_storage_gb: float = 8.0
    hard_storage_gb: float = 10.0
    retention_days: float = 0.0
    auto_cleanup: bool = True
    pack: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One media file: size in bytes, age in seconds by the wall clock, and what became of it."""

    sha256: str
    size: int
    age: float
    uploaded: bool
    held: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to go: uploaded files, and files that are lost by that."""

    remove: tuple[StoredFile, ...]
    lose: tuple[StoredFile, ...]


def plan(files: Iterable[StoredFile], rules: MediaRules, *, clock_trusted: bool) -> Plan:
    """Apply the rules to what there is."""
    files = sorted(files, key=lambda file: (-file.age, file.sha256))
    total = sum(file.size for file in files)
    uploaded = [file for file in files if file.uploaded and not file.held]
    waiting = [file for file in files if not file.uploaded and not file.held]
    remove: list[StoredFile] = []
    if rules.auto_cleanup:
        if clock_trusted:
            remove = [file for file in uploaded if file.age > rules.retention_days * DAY_SECONDS]
        left = [file for file in uploaded if file not in set(remove)]
        remove += _oldest(left, total - _size(remove) - int(rules.max_storage_gb * GB))
    over = total - _size(remove) - int(rules.hard_storage_gb * GB)
    more = _oldest([file for file in uploaded if file not in set(remove)], over)
    lose = _oldest(waiting, over - _size(more))
    return Plan(tuple(remove + more), tuple(lose))


def _oldest(files: Sequence[StoredFile], needed: int) -> list[StoredFile]:
    """As many of these, from the first on, as it takes to free so many bytes."""
    chosen: list[StoredFile] = []
    for file in files:
        if needed <= 0:
            break
        chosen.append(file)
        needed -= file.size
    return chosen


def _size(files: Sequence[StoredFile]) -> int:
    return sum(file.size for file in files)
