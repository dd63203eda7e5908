"""Every route of the interface in one table, from which router and document are made."""

from __future__ import annotations

from cloud.api import (
    administration,
    audit,
    claims,
    fleet,
    health,
    metrics,
    rights,
    sharing,
    stations,
    tokens,
    uploads,
)
from cloud.api.routing import Route

ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *claims.ROUTES,
    *stations.ROUTES,
    *uploads.ROUTES,
    *fleet.ROUTES,
    *audit.ROUTES,
    *sharing.ROUTES,
    *metrics.ROUTES,
    *tokens.ROUTES,
    *administration.ROUTES,
    *rights.ROUTES,
)
