"""The recipe of the packages says the same as the program: versions, libraries, rooms. Builds nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import appliance
from scripts.debian.__main__ import version
from tests.test_imports import ALLOWED

ROOT = Path(__file__).resolve().parents[2]
CONTROL = (ROOT / "debian/control.in").read_text()
RULES = (ROOT / "debian/rules").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = {
    "argon2-cffi": "python3-argon2",
    "netifaces-plus": "python3-netifaces",
    "psycopg[binary]": "python3-psycopg",
    "pyjwt": "python3-jwt",
    "sqlite-utils": "sqlite-utils",
}
"""Where Debian's name is not `python3-` and the project's."""
UNBOUND = {"python3-netifaces", "python3-psycopg"}
"""Another project under the same import, and a recommendation: Debian's version is the one there is."""


def package(name: str) -> str:
    """Its paragraph."""
    found = next((each for each in CONTROL.split("\n\n") if f"\nPackage: {name}\n" in f"\n{each}\n"), None)
    assert found is not None, f"debian/control.in has no package {name}"
    return found


def test_packages_and_program_have_one_version() -> None:
    assert version() == appliance.__version__ == PROJECT["version"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("meteor-appliance-runtime-@VERSION@", PROJECT["dependencies"]),
        ("meteor-cloud", PROJECT["optional-dependencies"]["cloud"]),
    ],
)
def test_a_package_depends_on_the_libraries_of_the_program(name: str, wanted: list[str]) -> None:
    paragraph = package(name)
    for each in wanted:
        project, _, least = each.partition(">=")
        library = NAMES.get(project, f"python3-{project}")
        asked = library if library in UNBOUND else f"{library} (>= {least})"
        assert re.search(rf"(^|[ ,]){re.escape(asked)}(,|$)", paragraph, re.MULTILINE), asked


@pytest.mark.parametrize(("variable", "room"), [("STATION_ROOMS", "appliance"), ("CLOUD_ROOMS", "cloud")])
def test_a_package_has_the_rooms_that_its_program_imports(variable: str, room: str) -> None:
    found = re.search(rf"^{variable} := (.*)$", RULES, re.MULTILINE)
    assert found is not None
    assert set(found.group(1).split()) == {room} | ALLOWED[room]
