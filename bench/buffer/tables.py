"""The figures of a run as text; Markdown, so that they can go into the pages as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.buffer.gates import Run, verdicts
from bench.buffer.slices import FLOORS_AGREE, Result, percentile

Cells = Sequence[str]


def markdown(head: Cells, rows: Iterable[Cells]) -> list[str]:
    """One table; all columns but the first are aligned to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def throughput(results: Iterable[Result]) -> list[str]:
    """One line a row."""
    head = ("row", "per second", "of its floor", "lowest – highest", "p50 ms", "p99 ms", "pairs")
    return markdown(head, map(_row, results))


def _row(row: Result) -> Cells:
    low, high = row.spread
    pairs = f"{len(row.good)}" if row.valid else f"not valid ({len(row.good)} of {row.wanted})"
    of_other = "" if row.floor == "append" else f" ({row.floor})"
    times = [number(row.milliseconds(percent)) for percent in (50, 99)]
    return (
        row.name,
        number(row.rate),
        number(row.ratio) + of_other,
        f"{number(low)} – {number(high)}",
        *times,
        pairs,
    )


def floors(results: Sequence[Result]) -> list[str]:
    """How fast the floors were in all slices, and how far they moved."""
    seen: dict[str, list[float]] = {}
    slices = again = 0
    for row in results:
        for pair in row.good + row.bad:
            seen.setdefault(row.floor, []).extend((pair.before.rate, pair.after.rate))
        slices, again = slices + len(row.good) + len(row.bad), again + len(row.bad)
    lines = markdown(
        ("floor, writes a second", "lowest", "10 %", "median", "90 %", "highest"),
        (
            (name, *(number(percentile(rates, percent)) for percent in (0, 10, 50, 90, 100)))
            for name, rates in seen.items()
        ),
    )
    agreed = f"{FLOORS_AGREE:.0%}"
    said = (
        f"{again} of {slices} slices were not counted, because their floors differed by more than {agreed}."
    )
    return [*lines, "", said]


def wear(run: Run) -> list[str]:
    """Bytes and flushes by the message."""
    rows = (
        (name, number(row["bytes"]), number(row["times_payload"]), f"{row['flushes']:.3f}")
        for name, row in run.wear.items()
    )
    return markdown(("per message", "bytes", "of the payload", "flushes"), rows)


def card(run: Run) -> list[str]:
    """Puts a second by latency."""
    head = ("added to each sync", "append", *(f"{n} producers" for n in (1, 8, 64, 256)))
    rows = ((f"{ms} ms", *(number(rate) for rate in rates.values())) for ms, rates in run.card.items())
    return markdown(head, rows)


def rest(run: Run) -> list[str]:
    """Memory, starts and salvage."""
    lines = [(f"memory, {name}", f"{value:.1f} MB") for name, value in run.memory.items()]
    lines += [(name, f"{number(value)} ms") for name, value in run.starts.items()]
    for name, found in run.salvage.items():
        lines.append((f"{name}: came back", f"{found['share']:.2%}"))
        lines.append((f"{name}: takes puts after", f"{number(found['ready_ms'])} ms"))
        lines.append((f"{name}: all back after", f"{number(found['back_ms'])} ms"))
    return markdown(("measure", "figure"), lines)


def gates(run: Run) -> list[str]:
    """Measure, aim, got, verdict."""
    rows = (
        (
            each.gate.measure,
            f"{'≥' if each.gate.at_least else '≤'} {each.gate.aim:g}",
            "–" if each.got is None else f"{each.got:.3g}",
            each.word,
        )
        for each in verdicts(run)
    )
    return markdown(("measure", "aim", "got", ""), rows)


def everything(run: Run) -> str:
    """The whole report."""
    results = list(run.rows.values())
    parts = [throughput(results), floors(results), wear(run), card(run), rest(run), gates(run)]
    return "\n\n".join("\n".join(part) for part in [*parts, run.missing] if part)
