"""Draws the outline of the land for the cloud's map from Natural Earth, whose data are in the public domain.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m scripts.world_outline package/land-110m.json > cloud/dashboard/land.path

The result is one SVG path in tenths of a degree: x = longitude + 180, y = 90 - latitude.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

TOLERANCE = 3.0
"""Tenths of a degree by which the outline may be off."""
SMALLEST = 8
"""Rings with a smaller box, in tenths of a degree, are left out."""

Point = tuple[float, float]


def rings(topology: dict[str, Any]) -> Iterator[list[Point]]:
    """Every ring of the land (TopoJSON 1.0 §2.1.4: arcs are delta-encoded and quantised)."""
    scale, shift = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((10 * (x * scale[0] + shift[0] + 180), 10 * (90 - (y * scale[1] + shift[1]))))
        arcs.append(points)
    for geometry in topology["objects"]["land"]["geometries"]:
        for polygon in geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]:
            for ring in polygon:
                yield unrolled(joined(arcs, ring))


def joined(arcs: Sequence[Sequence[Point]], ring: Sequence[int]) -> list[Point]:
    """One ring from its arcs; a negative number is an arc backwards."""
    found: list[Point] = []
    for index in ring:
        arc = list(arcs[index] if index >= 0 else reversed(arcs[~index]))
        found += arc[1:] if found else arc
    return found


def unrolled(points: Sequence[Point]) -> list[Point]:
    """A ring that goes on behind the date line; one that goes around a pole is closed over the pole."""
    found = [points[0]]
    for x, y in points[1:]:
        turns = round((found[-1][0] - x) / 3600)
        found.append((x + 3600 * turns, y))
    if abs(found[-1][0] - found[0][0]) > 1800:
        pole = 1800.0 if found[0][1] > 900 else 0.0
        found += [(found[-1][0], pole), (found[0][0], pole), found[0]]
    return found


def simpler(points: Sequence[Point]) -> list[Point]:
    """Douglas and Peucker (1973): points that are less than `TOLERANCE` off the line go."""
    if len(points) < 3:
        return list(points)
    (x0, y0), (x1, y1) = points[0], points[-1]
    length = math.hypot(x1 - x0, y1 - y0)

    def off(point: Point) -> float:
        if length == 0:
            return math.hypot(point[0] - x0, point[1] - y0)
        return abs((x1 - x0) * (y0 - point[1]) - (x0 - point[0]) * (y1 - y0)) / length

    farthest = max(range(1, len(points) - 1), key=lambda index: off(points[index]))
    if off(points[farthest]) < TOLERANCE:
        return [points[0], points[-1]]
    return simpler(points[: farthest + 1])[:-1] + simpler(points[farthest:])


def path(ring: Sequence[Point]) -> str:
    """Relative steps in whole tenths; empty for a speck."""
    whole = [(round(x), round(y)) for x, y in simpler(ring)]
    across = [x for x, _ in whole]
    if max(across) - min(across) < SMALLEST or len(whole) < 4:
        return ""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(whole)]
    drawn = "".join(f"{' ' if dx >= 0 else ''}{dx}{' ' if dy >= 0 else ''}{dy}" for dx, dy in steps[:-1])
    return f"M{whole[0][0]} {whole[0][1]}l{drawn.lstrip()}z"


def main() -> None:
    """The path on standard output."""
    topology = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    print("".join(path(ring) for ring in rings(topology)))


if __name__ == "__main__":
    main()
