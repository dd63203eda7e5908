"""Reads the lists that people bring: CSV or JSON, a station a row. Pure; a refusal names row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from cloud.validation import decode
from protocol.batch_messages import MOST_ROWS, BatchRequest, PreauthorizeRequest
from protocol.errors import INVALID, Refusal

T = TypeVar("T", BatchRequest, PreauthorizeRequest)

_COLUMNS: Mapping[type, tuple[str, ...]] = {
    BatchRequest: ("name", "location", "device_id"),
    PreauthorizeRequest: ("keyid", "name", "location"),
}
_PLACE = re.compile(r"[\s,;]+")


def read(text: str, kind: type[T]) -> T:
    """A request from JSON (an object, or a bare list of rows) or CSV with a header. Raises REG-007."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith("{"):
        return decode(stripped.encode(), kind)
    if stripped.startswith("["):
        return decode(b'{"stations":' + stripped.encode() + b"}", kind)
    return from_csv(text, kind)


def from_csv(text: str, kind: type[T]) -> T:
    """Rows below a header line; commas or semicolons, as spreadsheets write them."""
    lines = text.lstrip("\ufeff").splitlines()
    header = lines[0] if lines else ""
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.DictReader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True)
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in _COLUMNS[kind]]
    if not names or unknown or len(set(names)) != len(names):
        raise _wrong("$", f"The first line must name the columns {', '.join(_COLUMNS[kind])}.")
    reader.fieldnames = names
    try:
        rows = [_row(number, row) for number, row in enumerate(reader) if any(row.values())]
    except csv.Error as error:
        raise _wrong("$", f"Line {reader.line_num} is not CSV: {error}.") from None
    try:
        return msgspec.convert({"stations": rows}, kind)
    except msgspec.ValidationError as error:
        found = re.search(r"^(.*?) - at `(.+)`$", str(error))
        reason, field = (found[1], found[2]) if found else (str(error), "$")
        raise _wrong(field, f"{reason}.") from None


def _row(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    if number >= MOST_ROWS:
        raise _wrong("$.stations", f"One list may have {MOST_ROWS} stations.")
    if None in row or None in row.values():
        raise _wrong(f"$.stations[{number}]", "This row has another number of columns than the first line.")
    cells = {name: text.strip() for name, text in row.items() if text.strip()}
    if "location" in cells:
        return cells | {"location": place(cells["location"], f"$.stations[{number}].location")}
    return cells


def place(text: str, field: str) -> dict[str, float]:
    """`47.05 8.31`, `47.05, 8.31` or with a third number in metres: latitude, longitude, altitude."""
    numbers = [part for part in _PLACE.split(text.strip()) if part]
    try:
        values = [float(part) for part in numbers]
    except ValueError:
        values = []
    if len(values) not in (2, 3):
        raise _wrong(field, "A location is latitude and longitude in degrees, and perhaps metres.")
    return dict(zip(("latitude", "longitude", "altitude"), values, strict=False))


def _wrong(field: str, detail: str) -> Refusal:
    return Refusal("REG-007", INVALID, detail, field=field)
