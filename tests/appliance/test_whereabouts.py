"""Where the pages are: URLs, and what the station says without Avahi. Real Avahi is in `tests/mdns`."""

from __future__ import annotations

import asyncio
import logging

import pytest

from appliance.network import mdns
from appliance.network.mdns import Announcer, place_of
from appliance.whereabouts import pages_url
from tests.networkmanager.buses import private_bus, why_no_bus


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("192.168.1.40", 80, "http://192.168.1.40/"),
        ("192.168.1.40", 8080, "http://192.168.1.40:8080/"),
        ("2001:db8::40", 80, "http://[2001:db8::40]/"),
        ("meteor-kxpmvt.local", 80, "http://meteor-kxpmvt.local/"),
        ("", 80, ""),
        (None, 80, ""),
    ],
)
def test_the_pages_have_one_url(host: str | None, port: int, url: str) -> None:
    assert pages_url(host, port) == url


def test_a_place_is_the_interface_that_has_the_address_with_all_its_addresses() -> None:
    place = place_of("127.0.0.1", ("id=KXPMVT",))
    assert place is not None
    assert (place.interface, place.addresses[0]) == (1, "127.0.0.1")
    assert place_of("203.0.113.9", ()) is None
    assert place_of(None, ()) is None


async def test_without_avahi_it_is_said_once_and_the_address_remains(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := why_no_bus():
        pytest.skip(reason)
    monkeypatch.setattr(mdns, "RETRY_S", 0.05)
    caplog.set_level(logging.INFO)
    with private_bus() as bus:
        announcer = Announcer("KXPMVT", 80, lambda: "127.0.0.1", lambda: False, bus)
        running = asyncio.create_task(announcer.run())
        await asyncio.sleep(0.5)
        running.cancel()
    assert [record.message.partition(":")[0] for record in caplog.records if "name" in record.message] == [
        "no name on the local network, only the address"
    ]
    assert announcer.name == ""
