"""Logging: one line for people or one JSON object, and a tail for the status page."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from appliance import logs
from appliance.logs import TAIL, Tail


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_text_is_one_line_with_level_and_component(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "text")
    logging.getLogger("some.part").warning("the spool waits: %s", "no room")
    assert "WARNING some.part: the spool waits: no room\n" in capsys.readouterr().err


def test_json_is_one_object_a_line_with_the_traceback_inside(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("DEBUG", "json")
    try:
        raise ValueError("Bärn\n🌠")
    except ValueError:
        logging.getLogger("some.part").exception("two\nlines")
    [line] = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["component"], entry["message"]) == ("ERROR", "some.part", "two\nlines")
    assert entry["timestamp"].endswith("+00:00")
    assert "ValueError: Bärn" in entry["traceback"]


def test_the_level_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING", "text")
    logging.getLogger("some.part").info("hidden")
    assert capsys.readouterr().err == ""


def test_the_tail_keeps_the_last_lines_each_as_one() -> None:
    tail = logs.configure("DEBUG", "text")
    log = logging.getLogger("some.part")
    for number in range(TAIL + 5):
        log.info("line %d\nand more", number)
    log.debug("too fine for a page")
    log.info("")
    assert len(tail.lines) == TAIL
    assert tail.lines[-2].endswith(f"INFO line {TAIL + 4}")
    assert all("\n" not in line for line in tail.lines)


def test_a_tail_is_empty_before_anything_was_said() -> None:
    assert list(Tail().lines) == []
