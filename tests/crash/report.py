"""The table that a run of the matrix ends with: steps, kills, and what they led to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.crash.trial import Result

KINDS = ("lost", "doubled", "corrupt", "order", "unasked", "left")
WHENS = ("before", "torn", "after", "moment")


def findings(results: Iterable[Result]) -> Counter[str]:
    """All findings by kind."""
    return sum((result.verdict.findings for result in results), Counter())


def kills(results: Iterable[Result]) -> int:
    """How often a life was ended."""
    return sum(len(result.hit) for result in results)


def table(results: Sequence[Result], seed: int) -> str:
    """One line per step: how often a life ended there, and the findings of those trials."""
    hits: dict[str, Counter[str]] = defaultdict(Counter)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        for when, step in result.hit:
            hits[step][when] += 1
            found[step] += result.verdict.findings
    head = f"{'step':58}" + "".join(f"{word:>8}" for word in (*WHENS, *KINDS))
    lines = [_line(step, hits[step], found[step]) for step in sorted(hits)]
    total = _line("all", sum(hits.values(), Counter()), findings(results))
    again = sum(len(result.hit) > 1 for result in results)
    resent = sum(result.resent for result in results)
    return "\n".join(
        (
            f"crash matrix, seed {seed}: {len(results)} trials, {kills(results)} kills, {again} trials killed"
            f" again while they recovered, {resent} events sent again and told apart",
            *(head, *lines, total),
        )
    )


def _line(step: str, hits: Counter[str], found: Counter[str]) -> str:
    numbers = [hits[when] for when in WHENS] + [found[kind] for kind in KINDS]
    return f"{step[:57]:58}" + "".join(f"{number:8}" for number in numbers)


def details(results: Iterable[Result]) -> str:
    """The trials that went wrong, with what is needed to repeat them."""
    return "\n\n".join(
        f"{result.plan}\nkilled {result.hit}\n" + "\n".join(result.verdict.details)
        for result in results
        if result.verdict.findings
    )
