"""Writes the generated parts of docs/state-machine.md from the running machine; the prose is by hand.

Run `python -m scripts.state_machine_diagram` after a change of the machine, its views or the light patterns.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from firmware.pattern import PATTERNS, Pattern, pattern_for
from statemachine.lifecycle import EDGES, Lifecycle, State
from statemachine.phase import view_of
from statemachine.record import CONNECTED, NetworkAttempt, Record, resume

PAGE = Path(__file__).parent.parent / "docs" / "state-machine.md"


def generated() -> dict[str, str]:
    """The generated parts by the name that their markers carry."""
    return {
        "diagram": f"```mermaid\n{Lifecycle(is_claimed=lambda: False).mermaid()}```",
        "views": _views(),
        "reasons": _reasons(),
        "resume": _resume(),
        "light": _light(),
    }


def rewritten(page: str) -> str:
    """The page with every generated part as it is now; raise `ValueError` if a pair of markers is missing."""
    for name, content in generated().items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        page, found = re.subn(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, text=f"{begin}\n{content}\n{end}": text,  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"the page has {found} parts marked {name!r} and needs exactly one")
    return page


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _views() -> str:
    views = ((state, view_of(state)) for state in State)
    return _table(
        ("State", "A person reads", "Phase", "Progress", "Colour and shape", "Light"),
        (
            (
                f"`{state}`",
                view.word,
                f"`{view.phase}`",
                f"{view.progress} %",
                f"{view.tone.colour} {view.tone.shape}",
                f"`{pattern_for(state).name}`",
            )
            for state, view in views
        ),
    )


def _reasons() -> str:
    """Our own edges, those with the same trigger, target and reason in one row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for edge in EDGES:
        if edge.reason:
            guard = f" [{'' if edge.guard == 'claimed' else 'not '}claimed]" if edge.guard else ""
            key = (f"`{edge.trigger}`{guard}", f"`{edge.target}`", edge.reason)
            rows.setdefault(key, []).append(f"`{edge.source}`")
    return _table(
        ("Trigger", "From", "To", "Why"),
        ((trigger, ", ".join(sources), target, why) for (trigger, target, why), sources in rows.items()),
    )


def _resume() -> str:
    """For each state at the power cut, what follows for each kind of device."""
    attempt = NetworkAttempt("00", CONNECTED, 0.0)

    def leads_to(record: Record) -> str:
        trigger = resume(record)
        target = next(e.target for e in EDGES if e.trigger is trigger and e.source is State.INITIALIZING)
        return f"`{trigger}` → `{target}`"

    return _table(
        ("Power cut in", "Claimed", "Unclaimed, network known", "Unclaimed, no network"),
        (
            (
                f"`{state}`",
                leads_to(Record(state, 0.0, device_id="dev_1")),
                leads_to(Record(state, 0.0, network_attempt=attempt)),
                leads_to(Record(state, 0.0)),
            )
            for state in State
        ),
    )


def _light() -> str:
    return _table(
        ("Pattern", "Colour", "Shape", "Seconds on / off", "In words"),
        ((f"`{each.name}`", each.colour, each.shape, _rhythm(each), each.spoken) for each in PATTERNS),
    )


def _rhythm(pattern: Pattern) -> str:
    return "always on" if pattern.steady else ", ".join(f"{on:g} / {off:g}" for on, off in pattern.blink)


def main() -> None:
    """Rewrite the page in place."""
    PAGE.write_text(rewritten(PAGE.read_text()))


if __name__ == "__main__":
    main()
