"""The text format of OpenMetrics 1.0, which Prometheus and its kin read; knows nothing of the station.

https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value with what tells it apart from its siblings. None is left out: unknown is not zero."""

    value: float | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. A counter only grows while the program runs; `unit` is the end of the name, if any."""

    name: str
    kind: Literal["gauge", "counter", "info"]
    help: str
    samples: Iterable[Sample]
    unit: str = ""


def exposition(families: Iterable[Family]) -> str:
    """All of it as text, with the mark of its end."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# TYPE {family.name} {family.kind}")
        if family.unit:
            lines.append(f"# UNIT {family.name} {family.unit}")
        lines.append(f"# HELP {family.name} {family.help.translate(_ESCAPES)}")
        suffix = {"counter": "_total", "info": "_info", "gauge": ""}[family.kind]
        lines += [
            f"{family.name}{suffix}{_labels(sample.labels)} {_number(sample.value)}"
            for sample in family.samples
            if sample.value is not None
        ]
    return "\n".join([*lines, "# EOF", ""])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return str(value) if isinstance(value, int) else repr(float(value))
