"""QR codes as small inline SVG: black on white with the full quiet zone, in dark mode too."""

from __future__ import annotations

from itertools import groupby

from markupsafe import Markup

QUIET_ZONE = 4  # modules; ISO/IEC 18004 §5.3.8


def svg(text: str) -> Markup:
    """An `<svg>` that shows `text`, without a size of its own: the stylesheet gives one.

    Raises qrcode.exceptions.DataOverflowError for more than about 2 kB.
    """
    import qrcode  # here because a station that is claimed never draws one
    from qrcode.constants import ERROR_CORRECT_M

    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    return Markup(
        '<svg class="qr" viewBox="0 0 {size} {size}" shape-rendering="crispEdges" aria-hidden="true">'
        '<path fill="#fff" d="M0 0h{size}v{size}H0z"/><path d="{path}"/></svg>'
    ).format(size=len(matrix), path=_path(matrix))


def _path(matrix: list[list[bool]]) -> str:
    """One rectangle for each run of dark modules, a third of what one for each module takes."""
    return "".join(
        f"M{start} {y}h{length}v1h-{length}z" for y, row in enumerate(matrix) for start, length in _runs(row)
    )


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    """(start, length) of each run of dark modules in a row."""
    runs, x = [], 0
    for dark, group in groupby(row):
        length = len(list(group))
        if dark:
            runs.append((x, length))
        x += length
    return runs
