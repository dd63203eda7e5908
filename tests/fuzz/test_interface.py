"""The interface against its own document: whatever is sent, by whomever, is answered as the document says."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cloud.api.openapi import plain_path
from cloud.api.routing import Guard, Route
from cloud.api.table import ROUTES
from cloud.api.uploads import OFFSET_TYPE
from cloud.security.vault import Secrets
from protocol.people_messages import TokenMade
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.matrix import World, world
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Station
from tests.fuzz.rubbish import SEED
from tests.fuzz.test_signed_messages import unwell

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
"""Requests for each operation by each caller whom it opens to, and by nobody."""
LAST = (
    "DELETE /v1/devices/{device_id}/people/{member_id}",
    "POST /v1/devices/{device_id}/replacements/{claim_id}",
    "POST /v1/devices/{device_id}/transfer",
    "POST /v1/devices/{device_id}/revoke",
    "POST /v1/devices/{device_id}/release",
    "DELETE /v1/devices/{device_id}",
    "POST /v1/administration/accounts/{account_id}",
    "POST /v1/account/delete",
)

pytestmark = pytest.mark.usefixtures("unlimited")
"""What ends something that others need goes last."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REFUSALS = {400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, 460}
"""The statuses of docs/protocol.md; `default` in the document stands for them."""

Caller = requests.auth.AuthBase | None


@schemathesis.serializer(OFFSET_TYPE, "text/csv")
def _as_bytes(_context: Any, value: Any) -> bytes:
    """For bodies of which the document says no more than that they are bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Headers(requests.auth.AuthBase):
    """A person's session, or a token."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        for name in ("Authorization", "Cookie"):  # made up by the generator; nobody's requests have them
            request.headers.pop(name, None)
        request.headers.update(self.headers)
        return request


class Signature(requests.auth.AuthBase):
    """A station: signs whatever was made."""

    def __init__(self, station: Station) -> None:
        self.station = station

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        data = body.encode() if isinstance(body, str) else bytes(body)
        covered = {"content-type", "idempotency-key"}
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() in covered}
        method = request.method or "GET"
        request.headers.update(self.station.signed(method, request.path_url, data, headers))
        return request


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def callers(route: Route, there: World, token: str, registration: str) -> Iterator[tuple[str, Caller]]:
    """Everybody whom the route opens to, and nobody."""
    owner, administrator = there.people["owner"], there.people["administrator"]
    yield "nobody", None
    if route.guard in (Guard.PERSON, Guard.PERSON_OR_KEY):
        yield "session", Headers(owner.headers)
    if route.guard is Guard.ADMINISTRATOR:
        yield "administrator", Headers(administrator.headers)
    if route.scope is not None:
        yield "token", Headers({"Authorization": f"Bearer {token}"})
    if route.guard is Guard.REGISTRATION_TOKEN:
        yield "registration token", Headers({"Authorization": f"Bearer {registration}"})
    if route.guard in (Guard.DEVICE, Guard.RENEWAL, Guard.KEY, Guard.PERSON_OR_KEY):
        yield "station", Signature(there.itself)


async def tokens_of(person: Person) -> tuple[str, str]:
    """An API token that may do everything, and a registration token."""
    old = (await person.send("POST", "/v1/devices/registration-token")).read(dict[str, Any])
    made = await person.send("POST", "/v1/tokens", {"name": "all", "scopes": ["read", "command", "claim"]})
    return made.read(TokenMade).token, str(old["token"])


@pytest.fixture
async def any_cloud(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> AsyncIterator[Cloud]:
    """A cloud on SQLite, and one on PostgreSQL, whose columns are less patient."""
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as running:
        yield running


def key(route: Route) -> str:
    return f"{route.method} {plain_path(route.path)}"


@pytest.mark.timeout(1800)
async def test_whatever_is_sent_is_answered_as_the_document_says(
    any_cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = any_cloud
    caplog.set_level(logging.WARNING)
    there = await world(cloud)
    tokens = await tokens_of(there.people["owner"])
    async with cloud.session.get(f"{cloud.base}/v1/openapi.json") as reply:
        schema = schemathesis.openapi.from_dict(await reply.json())
    ordered = sorted(ROUTES, key=lambda route: LAST.index(key(route)) if key(route) in LAST else -1)
    caplog.clear()
    wrong: list[str] = []
    with requests.Session() as session:
        for route in ordered:
            operation = schema[plain_path(route.path)][route.method]
            for name, caller in callers(route, there, *tokens):
                again = asker(session, cloud.base, operation, caller, there.names, f"{key(route)} {name}")
                try:
                    await asyncio.to_thread(again)
                except (AssertionError, schemathesis.errors.SchemathesisError, BaseExceptionGroup) as error:
                    wrong.append(f"{key(route)} by {name}: {told(error)}")
    assert wrong == [], "\n".join(wrong)
    unwell(caplog)


def told(error: BaseException) -> str:
    """What went wrong, in a few lines."""
    return " ".join(f"{error} {'; '.join(map(str, getattr(error, 'exceptions', ())))}".split())[:700]


def asker(
    session: requests.Session, base: str, operation: Any, caller: Caller, names: Mapping[str, str], name: str
) -> Callable[[], None]:
    """Sends examples of one operation in the name of one caller; most of them at things that exist."""
    dice = random.Random(f"{SEED} {name}")
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    if operation.body or operation.query or operation.headers or operation.path_parameters:
        cases = cases | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=cases)
    def ask(case: Any) -> None:
        for parameter in case.path_parameters or {}:
            if parameter in names and dice.random() < 0.8:
                case.path_parameters[parameter] = names[parameter]
        response = case.call(base_url=base, session=session, auth=caller, allow_redirects=False, timeout=60)
        case.validate_response(response, checks=CHECKS)
        documented = operation.definition.raw["responses"].get(str(response.status_code))
        assert documented or response.status_code in REFUSALS, (name, response.status_code, response.text)
        if documented and response.content:
            kinds = documented.get("content", {})
            kind = response.headers["content-type"][0].partition(";")[0]
            assert kind in kinds or "*/*" in kinds, (name, kind, list(kinds))

    return ask
