"""Lists every error code of the programs and where it stands, for docs/troubleshooting.md and its test.

A code is a string in the code base that is one (`"NET-001"`), or begins with one (`f"REG-005 {error}"`);
docstrings and comments do not count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("appliance", "buffer", "cloud", "firmware", "language", "portal", "protocol", "statemachine")

_CODE = re.compile(r"(?!SHA)([A-Z]{2,4}-[0-9]{3})(?![0-9A-Za-z-])")


def codes(source: str) -> Iterator[tuple[str, int]]:
    """Each code in a module with its line."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str) and (found := _CODE.match(node.value)):
            yield found[1], node.lineno


def places() -> dict[str, list[str]]:
    """Every code of the programs, in order, with its places as `file:line`."""
    found: dict[str, list[str]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for code, line in codes(path.read_text("utf-8")):
                found.setdefault(code, []).append(f"{path.relative_to(ROOT)}:{line}")
    return dict(sorted(found.items()))


def main() -> None:
    """One line a code."""
    for code, where in places().items():
        print(f"{code:<9} {', '.join(where)}")


if __name__ == "__main__":
    main()
