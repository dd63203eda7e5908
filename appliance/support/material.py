"""What a support bundle is made of, before anything is hidden; packing lives in `bundle.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.doctor.patient import BufferFacts
from appliance.settings import Settings
from statemachine.record import Record


@dataclass(frozen=True, kw_only=True)
class Material:
    """One bundle. None is left out."""

    settings: Settings
    findings: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any] | None = None
    metrics: str | None = None
    buffer: BufferFacts | None = None
    record: Record | None = None
    phones: Sequence[Mapping[str, Any]] | None = None
    log: Sequence[str] | None = None
