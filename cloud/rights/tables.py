"""Which rows belong to a station or an account, read from the schema: a new table is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Column, Row, Table

from cloud.store.schema import account, device, metadata

_SECRET = ("_hash", "_mac", "csrf")
"""Ends of the names of columns that prove something; nobody needs a copy of those."""


def belonging(parent: Table) -> Iterator[tuple[Table, Column[Any]]]:
    """Every table with a column that points to `parent`, those that point to others first."""
    for table in reversed(metadata.sorted_tables):
        for column in table.columns:
            if any(key.column is parent.c.id for key in column.foreign_keys):
                yield table, column


def of_stations() -> list[tuple[Table, Column[Any]]]:
    """What belongs to a station."""
    return list(belonging(device))


def of_accounts() -> list[tuple[Table, Column[Any]]]:
    """What belongs to an account, but for its stations."""
    return [(table, column) for table, column in belonging(account) if table is not device]


def plain(row: Row[Any]) -> Mapping[str, Any]:
    """A row for its owner: JSON as JSON, and nothing that proves anything."""
    return {name: _value(value) for name, value in row._mapping.items() if not name.endswith(_SECRET)}


def _value(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value.hex()
