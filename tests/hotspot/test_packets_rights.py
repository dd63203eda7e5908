"""The hotspot's services as a user without a name: the capabilities they need; one fewer is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.hotspot.conftest import INTERFACE, OWN, PORTAL, ROOT, World
from tests.visitor import eventually

NEEDED = ("net_admin", "net_bind_service")
UID = 64_321


def as_nobody(world: World, *capabilities: str, program: tuple[object, ...], log: Path) -> int:
    """Starts it as `UID` in the station, with these capabilities alone; its place in `programs`."""
    names = ",".join(("-all", *(f"+{each}" for each in capabilities)))
    run = world.folder / "run"
    run.mkdir(exist_ok=True)
    run.chmod(0o700)
    world.folder.chmod(0o755)
    world.station.run("chown", "-R", UID, run)
    world.programs.append(
        world.station.popen(
            *("setpriv", "--reuid", UID, "--regid", UID, "--clear-groups", "--no-new-privs"),
            *(f"--bounding-set={names}", f"--inh-caps={names}", f"--ambient-caps={names}"),
            *program,
            log=log,
        )
    )
    return len(world.programs) - 1


def services(world: World) -> tuple[object, ...]:
    serve = ROOT / "tests/hotspot/serve.py"
    return (sys.executable, "-B", serve, world.folder / "run", 80, INTERFACE, f"{OWN}/24", f"{PORTAL}/32")


def portal(word: str) -> tuple[object, ...]:
    return (sys.executable, "-B", ROOT / "tests/hotspot/one_word.py", "0.0.0.0", 80, word)


def test_two_capabilities_open_the_filter_and_the_ports_and_give_addresses(world: World) -> None:
    log = world.folder / "unprivileged.log"
    as_nobody(world, *NEEDED, program=portal("portal"), log=log)
    eventually(lambda: ":80 " in world.station.run("ss", "-Hltn"), "the page is there")
    at = as_nobody(world, *NEEDED, program=services(world), log=log)
    eventually(lambda: "ready " in log.read_text() or world.programs[at].poll() is not None, "it starts")
    assert "ready " in log.read_text(), log.read_text()
    dnsmasq = log.read_text().partition("ready ")[2].split()[0]
    status = Path(f"/proc/{dnsmasq}/status").read_text()
    assert f"Uid:\t{UID}\t{UID}\t{UID}\t{UID}" in status
    assert world.phone.ask_for_address()["router"] == OWN
    assert world.phone.resolve("captive.apple.com").addresses == (PORTAL,)
    assert "chain from_phones" in world.station.run("nft", "list", "ruleset")
    world.programs[at].terminate()
    assert world.programs[at].wait(60) == 0
    assert "meteor" not in world.station.run("nft", "list", "ruleset")


@pytest.mark.parametrize(
    ("missing", "said"),
    [("net_admin", "nft: "), ("net_bind_service", "ermission denied")],
)
def test_each_of_the_two_is_needed(world: World, missing: str, said: str) -> None:
    log = world.folder / "unprivileged.log"
    world.serve(world.station, "0.0.0.0", 80, "portal")
    rest = tuple(each for each in NEEDED if each != missing)
    at = as_nobody(world, *rest, program=services(world), log=log)
    assert world.programs[at].wait(120) != 0, "it does not start with one"
    assert said in log.read_text()
