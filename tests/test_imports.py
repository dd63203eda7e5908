"""The arrows between the rooms: every import of the project is one that the architecture draws."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "statemachine": set(),
    "protocol": set(),
    "language": set(),
    "buffer": {"protocol"},
    "firmware": {"protocol"},
    "portal": {"language", "protocol"},
    "cloud": {"language", "protocol"},
    "appliance": {"portal", "firmware", "buffer", "statemachine", "language", "protocol"},
}


def imported_rooms(source: str) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}: rooms are imported by their own names"
            rooms.add((node.module or "").split(".")[0])
    return rooms & (ALLOWED.keys() | {"tests", "bench", "scripts"})


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_the_architecture_allows(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"{room} has no modules"
    wrong = {
        f"{path.relative_to(ROOT)} -> {target}"
        for path in files
        for target in imported_rooms(path.read_text()) - {room} - ALLOWED[room]
    }
    assert not wrong, "arrows that the architecture does not have: " + ", ".join(sorted(wrong))


def test_the_walk_sees_every_kind_of_import() -> None:
    source = "import buffer.store\nfrom portal import view\ndef f():\n    import cloud\nimport os\n"
    assert imported_rooms(source) == {"buffer", "portal", "cloud"}
