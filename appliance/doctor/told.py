"""Findings for programs and for a terminal: English, as JSON values or as lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from portal.view import FINDINGS, Finding

MARKS = {"fail": "■", "warn": "▲", "unknown": "–", "ok": "●"}
_WIDTH = 96
_INDENT = " " * 7


def told(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """In the order in which they were found."""
    return [
        {
            "code": each.code,
            "name": str(each.name),
            "verdict": each.verdict,
            "sentence": str(each.sentence),
            "evidence": [str(seen) for seen in each.evidence],
            "action": str(each.action),
        }
        for each in findings
    ]


def lines(facts: dict[str, Any]) -> list[str]:
    """A table for a person: what is wrong first, each with its evidence and its action."""
    findings: list[dict[str, Any]] = facts["findings"]
    rows = [_summary(findings)]
    for verdict in FINDINGS:
        found = [row for each in findings if each["verdict"] == verdict for row in _rows(each)]
        rows += found if not found or found[0] == "" else ["", *found]
    return rows


def _summary(findings: list[dict[str, Any]]) -> str:
    counts = [sum(each["verdict"] == verdict for each in findings) for verdict in FINDINGS]
    wrong, warned, open_, well = counts
    return f"{wrong} wrong, {warned} to look at, {open_} not known, {well} in order"


def _rows(each: dict[str, Any]) -> list[str]:
    mark, seen = MARKS[each["verdict"]], " ".join(each["evidence"])
    if each["verdict"] == "ok":
        return [f"{mark} ok   {each['name']}: {seen or each['sentence']}"]
    if each["verdict"] == "unknown":
        return [f"{mark} ?    {each['name']}: {each['sentence']}"]
    code = f" ({each['code']})" if each["code"] else ""
    rows = ["", f"{mark} {each['verdict']} {each['name']}: {each['sentence']}{code}"]
    rows += _wrapped("seen: ", seen)
    return rows + _wrapped("do:   ", each["action"])


def _wrapped(label: str, text: str) -> list[str]:
    indent = _INDENT + " " * len(label)
    return textwrap.wrap(text, _WIDTH, initial_indent=_INDENT + label, subsequent_indent=indent)
