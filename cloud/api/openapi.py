"""The OpenAPI 3.1 document, made from the table of routes and the messages. Nothing is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import msgspec

from cloud.api.routing import Guard, Route
from protocol.errors import PROBLEM_TYPE, Problem

_REFERENCE = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"\{([a-z0-9_]+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_SECURITY: Mapping[Guard, list[dict[str, list[str]]]] = {
    Guard.PUBLIC: [],
    Guard.PERSON: [{"session": []}],
    Guard.ADMINISTRATOR: [{"session": []}],
    Guard.DEVICE: [{"signature": []}],
    Guard.RENEWAL: [{"signature": []}],
    Guard.KEY: [{"signature": []}],
    Guard.REGISTRATION_TOKEN: [{"registration_token": []}],
    Guard.PERSON_OR_KEY: [{"session": []}, {"signature": []}],
}
_SCHEMES = {
    "registration_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "session": {"type": "apiKey", "in": "cookie", "name": "session", "description": "A signed-in person."},
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token of a person, with the scope that is named.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "HTTP message signature (RFC 9421), profile meteor-v1, by the device's P-256 key.",
    },
}


def plain_path(path: str) -> str:
    """`/a/{id}` of aiohttp's `/a/{id:[0-9]+}`."""
    return _VARIABLE.sub(r"{\1}", path)


def document(routes: Sequence[Route], version: str, base: str) -> dict[str, Any]:
    """The whole document as plain data."""
    kinds = _messages(routes)
    _, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(plain_path(route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Meteor cloud", "version": version, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def _messages(routes: Iterable[Route]) -> list[Any]:
    found: list[Any] = [Problem]
    for route in routes:
        for kind in (route.body, *route.answers.values()):
            found += [each for each in _members(kind) if each not in found]
    return found


def _members(kind: Any) -> list[Any]:
    """The messages of a union, or the one."""
    if kind is None or kind is bytes:
        return []
    return list(get_args(kind)) or [kind]


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "description": (route.handler.__doc__ or "").strip(),
        "security": _security(route),
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {route.content: _content(route.body)}}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    token: list[dict[str, list[str]]] = [{"token": [route.scope.value]}] if route.scope else []
    return [*_SECURITY[route.guard], *token]


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", plain_path(route.path).lower()).strip("_")
    return f"{route.method.lower()}_{words}"


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} | ({"pattern": f"^{pattern}$"} if pattern else {}),
        }
        for name, pattern in _VARIABLE.findall(route.path)
    ]
    found += [
        {
            "name": each.name,
            "in": each.place,
            "required": each.required,
            "description": each.description,
            "schema": dict(each.schema),
        }
        for each in route.parameters
    ]
    return found


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in route.answers.items():
        responses[str(status)] = {"description": _said(kind)}
        if kind is not None:
            responses[str(status)]["content"] = {"application/json": _content(kind)}
        elif status == 200 and route.files:
            responses[str(status)]["content"] = {each: {"schema": {}} for each in route.files}
    problem = {PROBLEM_TYPE: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}}
    responses["default"] = {"description": "Refused, and why", "content": problem}
    return responses


def _said(kind: Any) -> str:
    lines = [(each.__doc__ or "").strip().splitlines()[0] for each in _members(kind) if each.__doc__]
    return " ".join(lines) or "Done; see the headers."


def _content(kind: Any) -> dict[str, Any]:
    if kind is bytes:
        return {"schema": {}}
    references = [{"$ref": _REFERENCE.format(name=each.__name__)} for each in _members(kind)]
    return {"schema": references[0] if len(references) == 1 else {"anyOf": references}}
