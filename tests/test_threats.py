"""Every threat on its page has a test that exists, or says that nothing protects against it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/threats.md"
LEAST = 40
"""So many threats stood on the page when it was written."""


def rows() -> list[list[str]]:
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in PAGE.read_text("utf-8").splitlines()]
    kept = [[cell.strip() for cell in row] for row in cells if row]
    return [row for row in kept if row[0] != "Threat" and not set(row[0]) <= set("- ")]


def named(row: list[str]) -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::\w+)`", row[2])


@cache
def collected_from(file: Path) -> set[str]:
    """The functions that pytest collects from a file: those at its top, with the usual name."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(file.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, kinds) and node.name.startswith("test_")}


def test_the_page_has_its_threats_in_three_columns() -> None:
    assert len(rows()) >= LEAST
    assert {len(row) for row in rows()} == {3}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_every_threat_has_an_answer_and_a_test_or_says_that_it_has_none(row: list[str]) -> None:
    threat, answer, tests = row
    assert threat
    assert answer
    assert named(row) or "not protected" in answer
    assert re.sub(r"`[^`]*`|[\s–]", "", tests) == "", "only tests stand in the last column"


def test_every_test_that_the_page_names_exists() -> None:
    paths = [name.split("::") for row in rows() for name in named(row)]
    missing = [f"{file}::{test}" for file, test in paths if test not in found(ROOT / file)]
    assert missing == []


def found(file: Path) -> set[str]:
    return collected_from(file) if file.is_file() and file.name.startswith("test_") else set()
