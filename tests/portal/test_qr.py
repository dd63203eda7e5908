"""QR codes that real readers read."""

from __future__ import annotations

import re
from itertools import product

import cv2
import numpy as np
import pytest

from portal.fakes import IN_SETUP, RUNNING, FakeStation
from portal.qr import QUIET_ZONE, svg
from tests.portal.phone import Phone

URL = "https://cloud.example.org/claim#KXPMVT.q8Yw3fJr0cX2nLk5Vt7bZg"


def drawn(picture: str, scale: int) -> np.ndarray:
    """The SVG as pixels: its dark runs painted on white."""
    size = int(re.search(r'viewBox="0 0 (\d+)', picture)[1])  # type: ignore[index]
    pixels = np.full((size, size), 255, np.uint8)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h", picture):
        pixels[int(y), int(x) : int(x) + int(length)] = 0
    return np.kron(pixels, np.ones((scale, scale), np.uint8))


@pytest.mark.parametrize("scale", range(3, 13))
def test_the_code_decodes_at_ten_sizes(scale: int) -> None:
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(drawn(svg(URL), scale))
    assert text == URL


def test_the_quiet_zone_is_free_on_all_sides() -> None:
    pixels = drawn(svg(URL), 1)
    size = len(pixels)
    edge = [
        pixels[y, x]
        for y, x in product(range(size), repeat=2)
        if min(x, y, size - 1 - x, size - 1 - y) < QUIET_ZONE
    ]
    assert set(edge) == {255}
    assert 0 in pixels[QUIET_ZONE]


def test_it_is_black_on_white_whatever_the_page_wears() -> None:
    assert '<path fill="#fff" d="M0 0h' in svg(URL)


def test_the_text_cannot_break_out_of_the_picture() -> None:
    assert "script" not in svg("</svg><script>alert(1)</script>")


def test_a_claim_link_takes_less_than_five_kilobytes() -> None:
    assert len(svg(URL)) < 5000


async def test_the_status_page_shows_the_address_with_its_code_beside_the_local_name(
    phone: Phone, station: FakeStation
) -> None:
    await station.show(RUNNING)
    page = await phone.open("/status")
    text = page.text
    assert "192.168.1.40" in text
    assert "http://meteor-kxpmvt.local/" in text
    shown, _, _ = cv2.QRCodeDetector().detectAndDecode(drawn(page.html[page.html.index("<figure") :], 6))
    assert shown == "http://192.168.1.40/"


async def test_without_a_network_there_is_no_code(phone: Phone, station: FakeStation) -> None:
    await station.show(IN_SETUP)
    page = await phone.open("/status")
    assert "<figure" not in page.html
