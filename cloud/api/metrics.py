"""Figures of the cloud in the format of OpenMetrics, for administrators."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from cloud.api.routing import Guard, Route
from cloud.keys import LIMITS
from cloud.security.scopes import Scope
from cloud.security.sessions import Person

KIND = "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def metrics(request: web.Request, _person: Person) -> web.Response:
    """Counters since the start of this process."""
    limits = request.app[LIMITS]
    text = (
        _counter("meteor_cloud_rate_limited", "Tries that were refused by a limit.", limits.violations)
        + _counter("meteor_cloud_blocked", "Callers that were shut out for an hour.", limits.blocked)
        + "# EOF\n"
    )
    return web.Response(body=text.encode(), headers={"Content-Type": KIND, "Cache-Control": "no-store"})


def _counter(name: str, words: str, counts: Mapping[str, int]) -> str:
    lines = [f"# TYPE {name} counter", f"# HELP {name} {words}"]
    lines += [f'{name}_total{{purpose="{purpose}"}} {count}' for purpose, count in sorted(counts.items())]
    return "\n".join(lines) + "\n"


ROUTES = (
    Route(
        "GET",
        "/v1/metrics",
        metrics,
        Guard.ADMINISTRATOR,
        "Figures for Prometheus and others that read OpenMetrics",
        files=[KIND.partition(";")[0]],
        scope=Scope.READ,
    ),
)
