"""The technician's PIN against whoever guesses it: from one client, from many, and over a restart."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import stat
from pathlib import Path

import pytest

from appliance.files import write_atomically
from appliance.gate import MAX_CLIENTS, Gate, pause_of_all, pause_of_one
from appliance.identity.technician import Kept, TechnicianFile, read
from portal.view import Refusal


class World:
    """A gate, the file behind it and its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1000.0
        self.start()

    def start(self) -> None:
        """As after a start of the program."""
        self.gate = Gate(TechnicianFile(self.folder), lambda: self.now)

    @property
    def wrong_pin(self) -> str:
        return f"{(int(self.gate.pin) + 1) % 10**6:06d}"

    async def knock(self, pin: str, client: str = "10.0.0.2") -> str:
        """What the gate says: nothing, or a code."""
        try:
            await self.gate.enter(pin, client)
        except Refusal as refused:
            assert refused.field == "pin"
            return refused.code
        return ""

    async def guess(self, client: str = "10.0.0.2") -> str:
        return await self.knock(self.wrong_pin, client)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "identity")


async def test_the_right_pin_is_let_in_and_the_wrong_one_is_not(world: World) -> None:
    assert await world.guess() == "WEB-009"
    assert await world.knock(world.gate.pin) == ""


def test_the_pin_is_six_digits_and_the_same_after_a_restart(world: World) -> None:
    pin = world.gate.pin
    assert len(pin) == 6
    assert pin.isdigit()
    world.start()
    assert world.gate.pin == pin


def test_the_file_is_its_owners_alone(world: World) -> None:
    file = world.folder / "technician.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(world.folder.stat().st_mode) == 0o700


def test_stations_have_pins_of_their_own(tmp_path: Path) -> None:
    assert len({TechnicianFile(tmp_path / str(n)).current().pin for n in range(20)}) > 15


@pytest.mark.parametrize("damage", [b"", b"{", b'{"pin": "12345"}', b'{"pin": "abcdef"}', b"\xff", b"[]"])
def test_a_damaged_file_is_replaced(world: World, damage: bytes) -> None:
    file = world.folder / "technician.json"
    file.write_bytes(damage)
    world.start()
    kept = read(file)
    assert kept is not None
    assert kept.pin == world.gate.pin


@pytest.mark.parametrize(
    ("wrong", "seconds"), [(0, 0), (4, 0), (5, 60), (6, 120), (7, 240), (8, 480), (9, 900), (50, 900)]
)
def test_the_pause_of_one_client_grows_to_a_quarter_of_an_hour(wrong: int, seconds: float) -> None:
    assert pause_of_one(wrong) == seconds


@pytest.mark.parametrize(
    ("wrong", "seconds"), [(0, 0), (19, 0), (20, 900), (39, 900), (40, 3600), (10_000, 3600)]
)
def test_the_pause_of_all_grows_to_an_hour(wrong: int, seconds: float) -> None:
    assert pause_of_all(wrong) == seconds


async def test_a_client_that_guesses_waits_and_the_right_pin_does_not_help_it(world: World) -> None:
    assert [await world.guess() for _ in range(7)] == ["WEB-009"] * 5 + ["WEB-010"] * 2
    assert await world.knock(world.gate.pin) == "WEB-010"
    world.now += 60.0
    assert await world.guess() == "WEB-009"
    world.now += 119.0
    assert await world.knock(world.gate.pin) == "WEB-010"
    world.now += 1.0
    assert await world.knock(world.gate.pin) == ""


async def test_a_technician_is_let_in_while_a_neighbour_waits(world: World) -> None:
    for _ in range(9):
        await world.guess("10.0.0.66")
    assert await world.knock(world.gate.pin, "10.0.0.2") == ""
    assert await world.knock(world.gate.pin, "10.0.0.66") == "WEB-010", "it still has to wait"


async def test_a_neighbour_with_many_addresses_has_twenty_tries(world: World) -> None:
    said = [await world.guess(f"10.0.{n // 250}.{n % 250}") for n in range(1000)]
    assert said == ["WEB-009"] * 20 + ["WEB-010"] * 980
    assert await world.knock(world.gate.pin) == "WEB-010"


async def test_a_year_of_guessing_finds_the_pin_once_in_a_hundred_times(world: World) -> None:
    """Simulated: every client, at every moment at which one may try again."""
    tried, end = 0, world.now + 365 * 86_400
    for number in itertools.count():
        said = await world.guess(f"client {number}")
        tried += said == "WEB-009"
        if said == "WEB-010":
            world.now += 900.0
        if world.now > end:
            break
    assert tried < 10_000


async def test_a_hundred_tries_at_once_are_as_many_as_one_after_the_other(world: World) -> None:
    said = await asyncio.gather(*(world.guess() for _ in range(100)))
    assert said.count("WEB-009") == 5
    assert read(world.folder / "technician.json") == Kept(world.gate.pin, 5)


async def test_a_restart_gives_no_tries_away(world: World) -> None:
    for number in range(20):
        await world.guess(f"client {number}")
    for _ in range(3):
        world.start()
        assert await world.guess("another client") == "WEB-010"
        assert await world.knock(world.gate.pin, "another client") == "WEB-010"
    world.now += 900.0
    assert await world.guess("another client") == "WEB-009"
    world.start()
    assert await world.guess("yet another client") == "WEB-010"


async def test_restarts_between_few_tries_give_no_more_than_twenty(world: World) -> None:
    said = []
    for _ in range(40):
        said.append(await world.guess())
        world.start()
    assert said.count("WEB-009") == 20


async def test_a_try_is_counted_on_disk_before_it_is_compared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("appliance.gate.hmac.compare_digest", killed)
    with pytest.raises(KeyboardInterrupt):
        await world.guess()
    assert read(world.folder / "technician.json") == Kept(world.gate.pin, 1)


async def test_a_right_pin_ends_the_count(world: World) -> None:
    for _ in range(4):
        await world.guess()
    assert await world.knock(world.gate.pin) == ""
    assert read(world.folder / "technician.json") == Kept(world.gate.pin, 0)
    assert [await world.guess() for _ in range(5)] == ["WEB-009"] * 5


async def test_a_new_pin_ends_the_waiting_and_the_old_one(world: World) -> None:
    old = world.gate.pin
    for number in range(25):
        await world.guess(f"client {number}")
    while await world.gate.renew() == old:
        pass
    assert await world.knock(old) == "WEB-009"
    assert await world.knock(world.gate.pin) == ""
    assert json.loads((world.folder / "technician.json").read_text())["wrong"] == 0


async def test_many_clients_do_not_fill_the_memory(world: World) -> None:
    for number in range(MAX_CLIENTS + 50):
        await world.guess(f"client {number}")
    assert len(world.gate._clients) <= MAX_CLIENTS


async def test_a_technician_gets_in_when_the_disk_is_full_and_guessing_is_still_limited(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.identity.technician.write_atomically", full)
    assert [await world.guess("10.0.0.66") for _ in range(6)] == ["WEB-009"] * 5 + ["WEB-010"]
    assert await world.knock(world.gate.pin) == ""
    assert "No space left" in caplog.text


async def test_the_pin_is_in_no_log_and_no_repr(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    guessed = world.wrong_pin
    for _ in range(6):
        await world.knock(guessed, "10.0.0.66")
    await world.knock(world.gate.pin)
    assert "10.0.0.66" in caplog.text, "a technician sees who guesses"
    await world.gate.renew()
    for secret in (guessed, world.gate.pin):
        assert secret not in caplog.text
        assert secret not in repr(Kept(secret))
    assert world.gate.pin not in repr(world.gate)


def test_the_file_of_the_test_is_written_as_the_products(world: World) -> None:
    write_atomically(world.folder / "technician.json", b'{"pin":"000007","wrong":3}')
    world.start()
    assert world.gate.pin == "000007"
