"""The console display: what it writes, and whether a camera can read its QR code."""

import io

import cv2
import numpy as np
import pytest

from firmware.display import QUIET_ZONE, Card, ConsoleDisplay, NoDisplay, card_text, half_blocks, qr_modules

CARD = Card(
    short_id="BCDFGH",
    pin="493027",
    qr_text="https://cloud.example/claim#BCDFGH.q83vEjRWeJCrze8SNFZ4kA",
    address="https://cloud.example/claim",
)
INK = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}


def photograph(lines: list[str], *, ink_is_dark: bool, pixels: int) -> str:
    """Paint the characters as a terminal does, `pixels` for a module, and decode what a camera sees."""
    rows = []
    for line in lines:
        halves = [INK[character] for character in line]
        rows += [[top for top, _ in halves], [bottom for _, bottom in halves]]
    ink = np.array(rows, dtype=np.uint8)
    light = (1 - ink if ink_is_dark else ink) * 255
    picture = np.kron(light, np.ones((pixels, pixels), dtype=np.uint8)).astype(np.uint8)
    # the terminal around the code: dark, so that the code must bring its margin
    framed = cv2.copyMakeBorder(picture, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=0)
    text, *_ = cv2.QRCodeDetector().detectAndDecode(framed)
    return str(text)


@pytest.mark.parametrize("pixels", range(3, 13))
def test_the_code_is_read_from_a_terminal_at_ten_sizes(pixels: int) -> None:
    lines = half_blocks(qr_modules(CARD.qr_text), coloured=False)
    assert photograph(lines, ink_is_dark=False, pixels=pixels) == CARD.qr_text


def test_the_code_is_read_from_a_terminal_with_colours() -> None:
    coloured = half_blocks(qr_modules(CARD.qr_text), coloured=True)
    assert all(line.startswith("\x1b[30;47m") and line.endswith("\x1b[0m") for line in coloured)
    lines = [line.removeprefix("\x1b[30;47m").removesuffix("\x1b[0m") for line in coloured]
    assert photograph(lines, ink_is_dark=True, pixels=6) == CARD.qr_text


def test_the_code_has_its_quiet_zone_on_every_side() -> None:
    modules = np.array(qr_modules(CARD.qr_text))
    margins = (modules[:QUIET_ZONE], modules[-QUIET_ZONE:], modules[:, :QUIET_ZONE], modules[:, -QUIET_ZONE:])
    assert not any(margin.any() for margin in margins)
    assert modules[QUIET_ZONE, QUIET_ZONE]


def test_the_code_fits_a_terminal_of_eighty_columns_and_25_lines() -> None:
    lines = half_blocks(qr_modules(CARD.qr_text), coloured=False)
    assert max(len(line) for line in lines) <= 80
    assert len(lines) <= 25


def test_an_odd_number_of_rows_is_filled_with_light() -> None:
    assert half_blocks([[True, False]], coloured=True) == ["\x1b[30;47m▀ \x1b[0m"]
    assert half_blocks([[True, False]], coloured=False) == ["▄█"]


def test_the_card_tells_all_that_a_person_types() -> None:
    text = card_text(CARD, coloured=False)
    assert "Station  BCDFGH" in text
    assert "PIN      493 027" in text
    assert "https://cloud.example/claim\n" in text


def test_a_card_never_shows_its_secrets_in_a_log() -> None:
    assert "493027" not in repr(CARD)
    assert "q83vEjRW" not in repr(CARD)


def test_on_a_terminal_a_text_takes_the_place_of_the_one_before() -> None:
    stream = io.StringIO()
    display = ConsoleDisplay(stream, terminal=True)
    display.show_status(["Looking for networks"])
    display.show_card(CARD)
    display.clear()
    first, second, third = stream.getvalue().split("\x1b[2J\x1b[H")[1:]
    assert first == "Looking for networks\n"
    assert "493 027" in second
    assert third == ""


def test_into_a_pipe_texts_follow_each_other_without_control_characters() -> None:
    stream = io.StringIO()
    display = ConsoleDisplay(stream)
    display.show_status(["one", "two"])
    display.show_card(CARD)
    display.clear()
    assert stream.getvalue().startswith("one\ntwo\n")
    assert "\x1b" not in stream.getvalue()


def test_the_same_text_is_not_written_twice() -> None:
    stream = io.StringIO()
    display = ConsoleDisplay(stream)
    display.show_status(["Running"])
    display.show_status(["Running"])
    assert stream.getvalue() == "Running\n"


def test_a_board_without_a_display_takes_everything_in_silence() -> None:
    display = NoDisplay()
    display.show_card(CARD)
    display.show_status(iter(["Running"]))
    display.clear()
    assert vars(display) == {}
