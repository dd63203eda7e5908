"""Is the new version well? One file for each question; a new file in this folder is asked by itself.

A probe compares with the look before the switch: what did not work then proves nothing against the new
version, and so an ill station can always be repaired. `CODE` is the reason when it fails, `PATIENCE_S` how
many seconds it may fail in a row. `ORDER` decides which failure is told when several fail: the cause first.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from firmware.update.sight import Sight

Judge = Callable[[Sight, Sight, Sight | None], bool]
"""`well(before, now, earlier)`: the look before the switch, this one, and the one before this one."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question."""

    name: str
    order: int
    code: str
    patience: float
    well: Judge


@cache
def probes() -> Sequence[Probe]:
    """All probes, the one that explains most first."""
    found = []
    for each in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{each.name}")
        found.append(Probe(each.name, module.ORDER, module.CODE, module.PATIENCE_S, module.well))
    return sorted(found, key=lambda probe: probe.order)
