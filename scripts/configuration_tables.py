"""Writes the tables of settings, event fields and scenario keys from the msgspec structs they describe.

Run `python -m scripts.configuration_tables` after a change of such a struct. Names, types, ranges, defaults
and environment variables come from the code; the last column is prose by hand, and each row keeps its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from appliance.configuration.schema import DeviceConfig
from appliance.network.scenario import Scenario, SimulatedAccessPoint
from appliance.settings import ENVIRONMENT_PREFIX, Settings
from appliance.sources.schema import Observation, SourceClock, SourceMedia
from cloud.settings import ENVIRONMENT as CLOUD_PREFIX
from cloud.settings import Settings as CloudSettings
from protocol.event import EventSource

DOCS = Path(__file__).parent.parent / "docs"
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Part:
    """One table: which page and marker, from which struct; `variables` is the prefix of its environment
    variables, empty where there are none."""

    page: str
    name: str
    struct: Any
    variables: str = ""


def parts() -> list[Part]:
    """Every generated table of the documentation."""
    return [
        *_sections("station", Settings, ENVIRONMENT_PREFIX),
        Part("configuration.md", "cloud", CloudSettings, CLOUD_PREFIX),
        *_sections("device", DeviceConfig, ""),
        Part("events.md", "event", Observation),
        Part("events.md", "media", SourceMedia),
        Part("events.md", "source", EventSource),
        Part("events.md", "clock", SourceClock),
        Part("simulation.md", "world", Scenario),
        Part("simulation.md", "networks", SimulatedAccessPoint),
        Part("simulation.md", "events", _of_list(Scenario, "events")),
    ]


def _sections(owner: str, struct: Any, prefix: str) -> Iterator[Part]:
    for section in msgspec.structs.fields(struct):
        variables = f"{prefix}{section.name.upper()}_" if prefix else ""
        yield Part("configuration.md", f"{owner} {section.name}", section.type, variables)


def _of_list(struct: Any, name: str) -> Any:
    """The struct of which a field holds many."""
    field = next(each for each in _fields(struct) if each.name == name)
    assert isinstance(field.type, inspect.VarTupleType)
    assert isinstance(field.type.item_type, inspect.StructType)
    return field.type.item_type.cls


def rewritten(text: str, page: str) -> str:
    """The page with all its tables as they are now. Raises `ValueError` if a pair of markers is missing."""
    for part in parts():
        if part.page == page:
            text = _replaced(text, part)
    return text


def _replaced(text: str, part: Part) -> str:
    begin, end = f"<!-- generated: {part.name} -->", f"<!-- end: {part.name} -->"
    found = re.findall(f"{re.escape(begin)}(.*?){re.escape(end)}", text, re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"{part.page} has {len(found)} parts marked {part.name!r} and needs exactly one")
    return text.replace(f"{begin}{found[0]}{end}", f"{begin}\n{_table(part, found[0])}\n{end}")


def prose(table: str) -> dict[str, str]:
    """The last column of a table on a page, by the key in the first."""
    rows = re.findall(r"^\| `([^`]+)` \|.*?(?<!\\)\| ([^|]*) \|$", table, re.MULTILINE)
    return {key: text.strip() for key, text in rows}


def _table(part: Part, old: str) -> str:
    told = prose(old)
    variable = ["Environment variable"] if part.variables else []
    lines: list[Iterable[str]] = [["Key", "Type and range", "Default", *variable, "What it does"]]
    lines.append(["---"] * (4 + len(variable)))
    for field in _fields(part.struct):
        name = [f"`{part.variables}{field.name.upper()}`"] if part.variables else []
        lines.append(
            [f"`{field.name}`", kind(field.type), default(field), *name, told.get(field.name, "")],
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fields(struct: Any) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return described.fields


def kind(described: inspect.Type) -> str:
    """A type with its range, in words."""
    match described:
        case inspect.UnionType(types=types):
            return " or ".join(kind(each) for each in types if not isinstance(each, inspect.NoneType))
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(f"`{each.value}`" for each in cls)
        case inspect.IntType() | inspect.FloatType():
            return ", ".join(filter(None, (_number(described), _bounds(described))))
        case inspect.StrType():
            return ", ".join(filter(None, ("text", _length(described), _pattern(described.pattern))))
        case inspect.VarTupleType() | inspect.ListType():
            return f"list, at most {described.max_length}" if described.max_length else "list"
        case inspect.CustomType():
            return "path"
    return {"BoolType": "true or false"}.get(type(described).__name__, "table")


def _number(described: inspect.IntType | inspect.FloatType) -> str:
    return "integer" if isinstance(described, inspect.IntType) else "number"


def _bounds(described: inspect.IntType | inspect.FloatType) -> str:
    low = f"{described.ge}" if described.ge is not None else ""
    if described.gt is not None:
        low = f"above {described.gt}"
    if described.le is None:
        return f"{low} or more" if described.ge is not None else low
    return f"{low} to {described.le}" if low else f"at most {described.le}"


def _length(described: inspect.StrType) -> str:
    least, most = described.min_length, described.max_length
    if most is None:
        return "not empty" if least else ""
    return f"{least} to {most} characters" if least else f"at most {most} characters"


def _pattern(pattern: str | None) -> str:
    """Only what a person has to know; that control characters are refused goes without saying."""
    if pattern is None or "x00" in pattern:
        return ""
    escaped = pattern.removesuffix(r"(?!\n)").replace("|", "\\|")
    return f"like `{escaped}`"


def default(field: inspect.Field) -> str:
    """The default as it would stand in TOML."""
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None:
        return "not set"
    if isinstance(value, int) and not isinstance(value, bool) and value and value % MEBIBYTE == 0:
        return f"`{value}` ({value // MEBIBYTE} MiB)"
    if isinstance(value, tuple | list | dict) and not value:
        return "empty"
    return f"`{msgspec.json.encode(value, enc_hook=str).decode()}`"


def main() -> None:
    """Rewrite the pages in place."""
    for name in sorted({part.page for part in parts()}):
        page = DOCS / name
        page.write_text(rewritten(page.read_text("utf-8"), name), "utf-8")


if __name__ == "__main__":
    main()
