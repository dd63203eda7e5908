"""The display: the claim card, the port, the driver for a text console; pages in a browser are not here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TextIO

QUIET_ZONE = 4
"""Light modules around the QR code, the margin that ISO/IEC 18004 demands."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a person needs to set the station up, claim it and look after it.

    Everything but `short_id`, `address` and `hotspot` is secret and stays out of every log.
    """

    short_id: str
    pin: str = field(repr=False)
    qr_text: str = field(repr=False)
    address: str = ""
    technician_pin: str = field(default="", repr=False)
    hotspot: str = ""
    hotspot_key: str = field(default="", repr=False)

    @property
    def grouped_pin(self) -> str:
        """The PIN in groups of three, as people read it aloud: `493 027`."""
        return grouped(self.pin)


def grouped(pin: str) -> str:
    """Digits in groups of three."""
    return " ".join(pin[start : start + 3] for start in range(0, len(pin), 3))


class Display(Protocol):
    """Something that people read from afar."""

    def show_card(self, card: Card) -> None:
        """Show the claim card until something else is shown."""

    def show_status(self, lines: Iterable[str], qr_text: str = "") -> None:
        """Show a few lines of plain text in place of what was there, above them a QR code if there is one."""

    def clear(self) -> None:
        """Show nothing."""


class NoDisplay:
    """For a board without a display."""

    def show_card(self, card: Card) -> None:
        """Do nothing."""

    def show_status(self, lines: Iterable[str], qr_text: str = "") -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""


class ConsoleDisplay:
    """The terminal, or the monitor that someone plugs into the station.

    On a terminal each text takes the place of the one before; into a pipe the texts follow each other.
    """

    def __init__(self, stream: TextIO, *, terminal: bool | None = None) -> None:
        self._stream = stream
        self._terminal = stream.isatty() if terminal is None else terminal
        self._shown: str | None = None

    def show_card(self, card: Card) -> None:
        """Write the card with its QR code in half blocks."""
        self._write(card_text(card, coloured=self._terminal))

    def show_status(self, lines: Iterable[str], qr_text: str = "") -> None:
        """Write the lines, under the code."""
        code = ["", *half_blocks(qr_modules(qr_text), coloured=self._terminal), ""] if qr_text else []
        self._write("".join(f"{line}\n" for line in [*code, *lines]))

    def clear(self) -> None:
        """Empty the terminal; a log cannot be emptied."""
        self._write("")

    def _write(self, text: str) -> None:
        if text == self._shown:
            return
        self._shown = text
        self._stream.write(f"\x1b[2J\x1b[H{text}" if self._terminal else text)
        self._stream.flush()


def card_text(card: Card, *, coloured: bool) -> str:
    """The claim card as lines of text; with `coloured` the QR code sets its own black and white."""
    lines = [
        "",
        *half_blocks(qr_modules(card.qr_text), coloured=coloured),
        "",
        f"  Station  {card.short_id}",
        f"  PIN      {card.grouped_pin}",
    ]
    if card.address:
        lines += ["", "  Scan the code, or open this address and type both:", f"  {card.address}"]
    if card.technician_pin:
        lines += ["", f"  Technician's PIN  {grouped(card.technician_pin)}"]
    if card.hotspot:
        lines += ["", *hotspot_lines(card.hotspot, card.hotspot_key)]
    return "\n".join([*lines, "", ""])


def hotspot_lines(name: str, key: str) -> list[str]:
    """How to get onto the set-up hotspot, as lines of text."""
    return [f"  Wi-Fi    {name}", f"  Key      {key}"]


def qr_modules(text: str) -> list[list[bool]]:
    """The QR code of `text` as rows of modules, True for dark, with its quiet zone."""
    import qrcode  # here because it may pull in an imaging library, and most stations never show a card

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make(fit=True)
    return [[bool(module) for module in row] for row in code.get_matrix()]


_DARK_ON_LIGHT = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def half_blocks(modules: Sequence[Sequence[bool]], *, coloured: bool) -> list[str]:
    """Two rows of modules in each line of text, so that a module is about as high as wide.

    Without colours a terminal is taken to write light on dark, as consoles do: light modules become blocks.
    """
    rows = [list(row) for row in modules]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        pairs = zip(upper, lower, strict=True)
        line = "".join(_DARK_ON_LIGHT[(top == coloured, bottom == coloured)] for top, bottom in pairs)
        # black on light grey is 9:1 and, unlike bright white, known to every console
        lines.append(f"\x1b[30;47m{line}\x1b[0m" if coloured else line)
    return lines
