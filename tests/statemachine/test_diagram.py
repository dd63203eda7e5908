"""The page in docs/ and the running machine say the same."""

import re

import pytest

from scripts.state_machine_diagram import PAGE, generated, rewritten
from statemachine.lifecycle import EDGES, Lifecycle, State


def drawn() -> set[tuple[str, str, str]]:
    """The arrows of the page's diagram as (from, to, label), read from its text."""
    diagram = re.search(r"```mermaid\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert diagram is not None
    arrows = re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram[1], re.MULTILINE)
    return {(source, target, label) for source, target, labels in arrows for label in labels.split(", ")}


def test_the_diagram_in_the_docs_is_the_export_of_the_running_machine() -> None:
    assert f"```mermaid\n{Lifecycle(is_claimed=lambda: False).mermaid()}```" in PAGE.read_text()


def test_every_generated_part_of_the_page_is_up_to_date() -> None:
    page = PAGE.read_text()
    assert rewritten(page) == page, "run: python -m scripts.state_machine_diagram"


def test_the_diagram_draws_every_edge_and_no_other() -> None:
    guards = {None: "", "claimed": " [claimed]", "unclaimed": " [not claimed]"}
    assert drawn() == {(e.source, e.target, f"{e.trigger}{guards[e.guard]}") for e in EDGES}


@pytest.mark.parametrize("state", State)
def test_the_diagram_is_the_same_whoever_draws_it_and_when(state: State) -> None:
    assert (
        Lifecycle(state, is_claimed=lambda: True).mermaid() == Lifecycle(is_claimed=lambda: False).mermaid()
    )


def test_the_prose_speaks_of_every_state() -> None:
    assert [state for state in State if f"**`{state}`**" not in PAGE.read_text()] == []


@pytest.mark.parametrize("name", generated())
def test_a_page_without_a_marker_is_refused_and_not_half_written(name: str) -> None:
    page = PAGE.read_text().replace(f"<!-- end: {name} -->", "")
    with pytest.raises(ValueError, match=f"marked '{name}'"):
        rewritten(page)


def test_writing_the_page_again_changes_nothing_by_itself() -> None:
    emptied = re.sub(r"(<!-- generated: \w+ -->).*?(<!-- end)", r"\1\n\2", PAGE.read_text(), flags=re.DOTALL)
    assert rewritten(emptied) == rewritten(rewritten(emptied)) == PAGE.read_text()
