"""Every odd name from the air through the real page and form into the profile, byte for byte."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from dbus_fast import unpack_variants

from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.wishes import credentials_of
from portal.fakes import FakeStation
from portal.server import create_app, serving
from portal.ssid import display
from portal.view import JoinRequest, Network
from tests.networkmanager.fake import FakeNetworkManager, Point
from tests.networkmanager.ssids import SSIDS
from tests.portal.phone import Phone

PASSWORD = "correct horse"


async def joined_by_form(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, folder: Path, ssid: bytes, **typed: str
) -> bytes:
    """What the profile says after a person has chosen, or typed, a name on the page."""
    heard = await port.scan()
    station = FakeStation()
    station.nearby = [Network(n.ssid, n.signal, n.security.value, n.bands[0], n.known) for n in heard]
    async with serving(create_app(station), "127.0.0.1", 0) as address, Phone(address) as phone:
        start = await phone.open("/setup")
        if typed:
            form = await phone.follow(start, "Other network")
        else:
            assert any(ssid.hex() in href for href, _ in start.links)
            form = await phone.open(f"/setup?network={ssid.hex()}")
            assert " ".join(display(ssid).split()) in form.text
        done = await phone.send(form, "/setup/join", password=PASSWORD, **typed)
        assert done.path == "/progress", done.text
    request: JoinRequest = station.asked[-1][1]
    await port.join(await asyncio.to_thread(credentials_of, request, folder))
    (kept,) = [nm.profiles[path] for path in nm.on_disk]
    return bytes(unpack_variants(kept)["802-11-wireless"]["ssid"])


@pytest.mark.parametrize("ssid", SSIDS.values(), ids=SSIDS)
async def test_a_name_chosen_from_the_list_is_joined_byte_for_byte(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, tmp_path: Path, ssid: bytes
) -> None:
    nm.hear(Point(ssid))
    nm.hear(Point(b"decoy"))
    assert await joined_by_form(nm, port, tmp_path / "ca", ssid) == ssid
    assert nm.connected_ssid() == ssid
    assert await port.stored() == [ssid]


def _can_be_typed(ssid: bytes) -> bool:
    try:
        text = ssid.decode()
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and not any(character in text for character in "\0\r\n\t")


TYPED = {name: ssid for name, ssid in SSIDS.items() if _can_be_typed(ssid)}


@pytest.mark.parametrize("ssid", TYPED.values(), ids=TYPED)
async def test_a_hidden_name_typed_by_hand_is_joined_byte_for_byte(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, tmp_path: Path, ssid: bytes
) -> None:
    typed = {"name": ssid.decode(), "security": "wpa2", "as_typed": "1"}
    assert await joined_by_form(nm, port, tmp_path / "ca", ssid, **typed) == ssid


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"Home", "Ноmе".encode()),
        ("Café".encode(), "Cafe\u0301".encode()),
        (b"Home", b"Home "),
        (b"a:b", rb"a\:b"),
        (b"Home", "Ho\u200bme".encode()),
    ],
)
async def test_of_two_that_look_alike_the_chosen_one_is_joined(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, tmp_path: Path, one: bytes, other: bytes
) -> None:
    nm.hear(Point(one, 80))
    nm.hear(Point(other, 40))
    assert await joined_by_form(nm, port, tmp_path / "ca", other) == other
