"""The pages for readers and the code say the same: tables, codes, routes, commands, links, names of files."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from appliance import settings
from appliance.commandline.exits import MEANING
from cloud.api.openapi import plain_path
from cloud.api.table import ROUTES
from protocol.errors import CODES
from scripts import configuration_tables, error_codes
from tests.test_imports import ALLOWED

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
TABLES = sorted({part.page for part in configuration_tables.parts()})

_FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_LEFT_OUT = {".git", ".venv", "run-data", "build", "dist", "test-results"}


def text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def rows(page: str, first: str) -> dict[str, list[str]]:
    """The rows of a page whose first cell matches, each by that cell, as their other cells."""
    found = {}
    for line in text(page).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(first, cells[0]):
            assert cells[0] not in found, f"{page} has two rows for {cells[0]}"
            found[cells[0]] = cells[1:]
    return found


# --- generated tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TABLES)
def test_every_table_of_settings_and_fields_is_that_of_the_code(page: str) -> None:
    current = configuration_tables.rewritten(text(page), page)
    assert current == text(page), "run: python -m scripts.configuration_tables"


@pytest.mark.parametrize("page", TABLES)
def test_every_setting_and_field_is_explained(page: str) -> None:
    generated = re.findall(r"<!-- generated: ([\w ]+) -->(.*?)<!-- end", text(page), re.DOTALL)
    empty = [
        f"{name}: {key}"
        for name, table in generated
        for key, words in configuration_tables.prose(table).items()
        if not words
    ]
    assert not empty, f"write the last column in {page}"
    assert all(configuration_tables.prose(table) for _, table in generated)


def test_a_page_without_a_marker_is_refused_and_not_half_written() -> None:
    with pytest.raises(ValueError, match="0 parts marked"):
        configuration_tables.rewritten("nothing", "configuration.md")


def test_the_environment_variables_on_the_page_are_read() -> None:
    names = re.findall(rf"`({settings.ENVIRONMENT_PREFIX}[A-Z]+_[A-Z_]+)` \|", text("configuration.md"))
    assert len(names) > 15
    with pytest.raises(settings.SettingsRefused, match="is not a setting"):
        settings.load(None, dict.fromkeys([*names, f"{settings.ENVIRONMENT_PREFIX}NOTHING"], "1"), {})
    for name in names:
        try:
            settings.load(None, {name: "1"}, {})
        except settings.SettingsRefused as refused:  # the value is wrong for some, the name for none
            assert "is not a setting" not in str(refused)


# --- codes, routes, exits, arrows ---------------------------------------------------------------------------


def test_every_error_code_is_explained_and_no_other() -> None:
    explained = rows("troubleshooting.md", r"[A-Z]{2,4}-[0-9]{3}")
    assert sorted(explained) == sorted(error_codes.places())
    assert all(meaning and remedy for meaning, remedy in explained.values())


def test_the_search_for_codes_sees_constants_and_texts_and_no_docstrings() -> None:
    source = (
        '"""NET-001 in a docstring"""\nA = "NET-002"\nB = f"REG-003 {A}"\nC = "see NET-004"\nD = "SHA-256"\n'
    )
    assert [code for code, _ in error_codes.codes(source)] == ["NET-002", "REG-003"]


def test_the_errors_of_the_protocol_stand_with_status_and_title() -> None:
    shown = {code: tuple(cells[:2]) for code, cells in rows("protocol.md", r"REG-[0-9]{3}").items()}
    assert shown == {code: (str(entry.status), entry.title) for code, entry in CODES.items()}


def test_every_route_stands_with_its_guard() -> None:
    shown = {route: cells[0] for route, cells in rows("protocol.md", r"`[A-Z]+ /.*`").items()}
    assert shown == {f"`{each.method} {plain_path(each.path)}`": each.guard.value for each in ROUTES}


def test_the_arrows_between_the_rooms_are_those_that_the_imports_may_have() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", text("architecture.md"), re.MULTILINE))
    assert drawn == {(room, target) for room, targets in ALLOWED.items() for target in targets}


@cache
def usage(program: str, *words: str) -> str:
    command = [str(Path(sys.executable).parent / program), *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_exit_codes_on_the_page_are_those_of_both_programs() -> None:
    page = text("command-line.md")
    for code, meaning in MEANING.items():
        assert f"| {code.value} | {meaning} |" in page
    listed = re.findall(r"^  ([0-9])  (.+)$", usage("meteor-cloud"), re.MULTILINE)
    assert len(listed) > 5
    assert [
        f"| {code} | {meaning} |" for code, meaning in listed if f"| {code} | {meaning} |" not in page
    ] == []


def commands(program: str, *words: str) -> Iterator[str]:
    """Every command that the program's help lists, with the parts of those that have parts."""
    listed = re.findall(r"^    ([a-z-]+)(?:  |$)", usage(program, *words), re.MULTILINE)
    for name in listed:
        inner = [] if words else list(commands(program, name))
        yield from (f"{name} {part}" for part in inner) if inner else [name]


@pytest.mark.parametrize(("program", "least"), [("meteor-appliance", 10), ("meteor-cloud", 5)])
def test_every_command_has_its_place_on_the_page(program: str, least: int) -> None:
    known = list(commands(program))
    assert len(known) >= least
    headings = re.findall(r"^### `(.+)`$", text("command-line.md"), re.MULTILINE)
    assert [name for name in known if name not in headings and name.split()[0] not in headings] == []


def shown_commands() -> list[list[str]]:
    """Every line that calls one of our programs, as words: all of `sh`, the prompts of `console`."""
    ours = r"(?:\.venv/bin/)?(meteor-(?:appliance|cloud) .+)$"
    found = []
    for page in PAGES:
        for block in _FENCE.findall(page.read_text("utf-8")):
            prompt = r"^\$ " if block.lstrip().startswith("```console") else "^"
            if block.lstrip().startswith(("```console", "```sh")):
                lines = re.findall(prompt + ours, block.replace("\\\n", " "), re.MULTILINE)
                found += [shlex.split(line, comments=True) for line in lines]
    return found


def test_every_command_that_a_page_shows_is_one_that_the_program_takes() -> None:
    from appliance.cli import _parser as station
    from cloud.cli import _parser as server

    shown = shown_commands()
    assert len(shown) > 20
    for program, *words in shown:
        if "--help" not in words:
            (station() if program == "meteor-appliance" else server()).parse_args(words)


# --- links and names of files -------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    prose = _FENCE.sub("", page.read_text("utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)
    return [link for link in found if not link.startswith(("https://", "http://"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere_inside(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    words = page.read_text("utf-8")
    tops = {path.name for path in ROOT.iterdir()} - _LEFT_OUT
    for name in re.findall(r"`([\w.*-]+/[\w./*-]*)`", words):
        if name.split("/")[0] in tops:
            assert list(ROOT.glob(name.rstrip("/"))), f"there is no {name}"
    for module in re.findall(r"python -m ([\w.]+)", words):
        assert find_spec(module) is not None, f"there is no module {module}"


def own_files() -> Iterator[Path]:
    """Every text file of ours."""
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        made = any(
            part in _LEFT_OUT or part.endswith((".egg-info", "_cache", "__pycache__")) for part in parts
        )
        if path.is_file() and not made and ".hypothesis" not in parts and path.suffix != ".png":
            yield path


def test_no_file_names_a_place_outside_of_the_repository() -> None:
    homes = "|".join(("home", "root", "Users", "mnt", "work"))
    outside = re.compile(rf"(?<![\w.<{{}}-])/(?:{homes})/\w|{re.escape(str(ROOT))}(?!\w)|\.\./shar" + "ed")
    named = {}
    for path in own_files():
        if found := outside.search(path.read_text("utf-8", "replace")):
            named[str(path.relative_to(ROOT))] = found[0]
    assert named == {}


def test_every_page_that_a_file_names_is_one_of_ours() -> None:
    pages = {path.name for path in own_files() if path.suffix == ".md"}
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in own_files()
        for name in re.findall(r"[\w-]+\.md\b", path.read_text("utf-8", "replace"))
        if name not in pages
    }
    assert unknown == set()


def test_every_fault_of_the_network_stands_on_the_page_with_its_test() -> None:
    files = [*(ROOT / "tests/netfaults").glob("test_*.py")]
    written = {
        name
        for file in files
        if file.name != "test_tools.py"
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    told = set(re.findall(r"\| `(test_\w+)` \|", text("uplink.md")))
    assert told == written
