"""The radio's country is set with `iw`, played by a program on the path that keeps its word in a file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.network import regulatory
from appliance.network.country import CountryNotSet
from appliance.network.regulatory import NO_IW, NOT_ALLOWED, NOT_TAKEN, Domain, domain_in, set_country

PI = """global
country DE: DFS-ETSI
\t(2400 - 2483 @ 40), (N/A, 20), (N/A)

phy#0
country 99: DFS-UNSET
\t(2402 - 2482 @ 40), (6, 20), (N/A)
"""
LAPTOP = """global
country 00: DFS-UNSET
\t(2402 - 2472 @ 40), (N/A, 20), (N/A)

phy#0 (self-managed)
country US: DFS-UNSET
\t(2402 - 2437 @ 40), (6, 22), (N/A), AUTO-BW
"""


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        (PI, Domain("DE")),
        (LAPTOP, Domain("00", (("phy#0", "US"),))),
        ("country 98: DFS-ETSI\n", Domain("98")),  # an older iw names no scope
        ("phy#0 (self-managed)\ncountry US: DFS-UNSET\n", Domain("", (("phy#0", "US"),))),
        ("", Domain()),
    ],
)
def test_what_iw_shows_of_the_domain_is_read(text: str, domain: Domain) -> None:
    assert domain_in(text) == domain


Play = Callable[[str], Path]


@pytest.fixture
def iw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Puts a program `iw` first on the path; `iw reg set XX` runs the given lines of shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def play(setting: str) -> Path:
        state = tmp_path / "country"
        state.write_text("00")
        program = folder / "iw"
        program.write_text(
            f"""#!/bin/sh
state={state}
echo "$*" >> {tmp_path}/calls
case "$1 $2" in
"reg get") printf 'global\\ncountry %s: DFS-UNSET\\n' "$(cat $state)" ;;
"reg set") {setting} ;;
esac
"""
        )
        program.chmod(0o755)
        return state

    return play


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


async def test_a_country_is_set_and_looked_at(iw: Play, tmp_path: Path) -> None:
    state = iw('printf "$3" > $state')
    await set_country("DE")
    assert state.read_text() == "DE"
    assert calls(tmp_path) == ["reg get", "reg set DE", "reg get"]


async def test_the_kernel_may_take_a_moment_to_read_its_database(iw: Play, tmp_path: Path) -> None:
    state = iw('(sleep 0.5; printf "$3" > $state) > /dev/null 2>&1 &')
    await set_country("FR")
    assert state.read_text() == "FR"


async def test_a_country_that_is_in_force_already_needs_no_right(iw: Play, tmp_path: Path) -> None:
    state = iw("exit 1")
    state.write_text("DE")
    await set_country("DE")
    assert calls(tmp_path) == ["reg get"]


async def test_rules_that_the_access_point_narrows_are_in_force(iw: Play) -> None:
    iw('printf "98" > $state')
    await set_country("DE")


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ('echo "command failed: Operation not permitted (-1)" >&2; exit 255', NOT_ALLOWED),
        ('echo "command failed: Invalid argument (-22)" >&2; exit 234', NOT_TAKEN),
        ("exit 0", NOT_TAKEN),  # as for a country that the database does not know
        ("exec sleep 600", NOT_TAKEN),
    ],
)
async def test_a_country_that_is_not_set_has_its_reason(
    iw: Play, monkeypatch: pytest.MonkeyPatch, setting: str, reason: str
) -> None:
    monkeypatch.setattr(regulatory, "SET_S", 1.0)
    iw(setting)
    with pytest.raises(CountryNotSet) as failure:
        await set_country("DE")
    assert failure.value.reason == reason


async def test_without_iw_the_reason_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    with pytest.raises(CountryNotSet) as failure:
        await set_country("DE")
    assert failure.value.reason == NO_IW


async def test_a_driver_with_a_country_of_its_own_is_logged_and_no_failure(
    iw: Play, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    state = iw("exit 1")
    state.write_text("DE: DFS-ETSI\n\nphy#0 (self-managed)\ncountry US")
    await set_country("DE")
    assert "phy#0: its driver keeps a country of its own (US)" in caplog.text
