"""A map that needs nothing from elsewhere: the outline of the land and a grid, cut to a window. Pure.

The outline is made from Natural Earth (public domain, `scripts/world_outline.py`) and is good to about 30 km.
It is an aid for finding the place: at the closest window the grid counts, and the numbers can be typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT = 288, 144
"""Of the picture in CSS pixels: a click arrives in those, and 288 fit on the narrowest phone."""
SPANS = (360.0, 45.0, 6.0, 0.75)
"""Degrees of longitude that a window shows, from the whole world to a town."""
_GRID = (30.0, 5.0, 1.0, 0.125)
_LAND = (Path(__file__).parent / "land.path").read_text("ascii").strip()
_METRES_PER_DEGREE = 111_320
_TURNS = (-3600, 0, 3600)
"""The world begins again behind the date line, and its outline goes on behind it."""


@dataclass(frozen=True)
class Window:
    """What is shown: its middle in degrees, and one of the `SPANS`."""

    latitude: float = 0.0
    longitude: float = 0.0
    level: int = 0

    @property
    def span(self) -> float:
        """Degrees from left to right; half as many from top to bottom."""
        return SPANS[self.level]

    @property
    def left(self) -> float:
        return -180.0 if self.level == 0 else self.longitude - self.span / 2

    @property
    def top(self) -> float:
        return 90.0 if self.level == 0 else self.latitude + self.span / 4

    def at(self, x: int, y: int) -> tuple[float, float]:
        """Latitude and longitude of a click, rounded to what a pixel can mean."""
        digits = max(0, self.level + 1)
        latitude = self.top - (min(max(y, 0), HEIGHT) + 0.5) * self.span / 2 / HEIGHT
        longitude = self.left + (min(max(x, 0), WIDTH) + 0.5) * self.span / WIDTH
        return round(min(max(latitude, -90), 90), digits), round((longitude + 180) % 360 - 180, digits)

    def closer(self, latitude: float, longitude: float) -> Window:
        """The next window, around a point; the closest one moves."""
        return Window(latitude, longitude, min(self.level + 1, len(SPANS) - 1))

    @property
    def accuracy(self) -> float:
        """Metres that a click may be off: one and a half pixels."""
        return round(1.5 * self.span / WIDTH * _METRES_PER_DEGREE)


def svg(window: Window, spot: tuple[float, float] | None) -> str:
    """The picture, drawn in tenths of a degree with the origin at 90° north, 180° west."""
    x, y, width = 10 * (window.left + 180), 10 * (90 - window.top), 10 * window.span
    land = "".join(f'<use href="#l" x="{shift}"/>' for shift in _TURNS)
    pin = ""
    if spot is not None:
        turns = 3600 * round((x + width / 2 - 10 * (spot[1] + 180)) / 3600)
        cx, cy, r = 10 * (spot[1] + 180) + turns, 10 * (90 - spot[0]), width / 60
        ring = f'fill="none" stroke="#b00020" stroke-width="{r / 2.5:.3f}"'
        pin = f'<circle cx="{cx:.3f}" cy="{cy:.3f}" r="{r:.3f}" {ring}/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="{x:.3f} {y:.3f} {width:.3f} {width / 2:.3f}">'
        f'<defs><path id="l" d="{_LAND}"/></defs>'
        f'<rect x="{x:.3f}" y="{y:.3f}" width="{width:.3f}" height="{width / 2:.3f}" fill="#dbe7f5"/>'
        f'<g fill="#9fb08a">{land}</g>{_grid(window, x, y, width)}{pin}</svg>'
    )


def _grid(window: Window, x: float, y: float, width: float) -> str:
    step = 10 * _GRID[window.level]
    columns = [step * n for n in range(int(x // step), int((x + width) // step) + 1)]
    rows = [step * n for n in range(int(y // step), int((y + width / 2) // step) + 1)]
    lines = "".join(f"M{at:.2f} {y:.2f}v{width / 2:.2f}" for at in columns)
    lines += "".join(f"M{x:.2f} {at:.2f}h{width:.2f}" for at in rows)
    return f'<path d="{lines}" fill="none" stroke="#5b6b80" stroke-width="{width / 600:.3f}"/>'
