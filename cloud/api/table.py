"""Every route of the interface in one table, from which router and document are made."""

from __future__ import annotations

from cloud.api import (
    administration,
    audit,
    bulk,
    certificates,
    claims,
    fleet,
    health,
    metrics,
    ownership,
    registrations,
    rights,
    sharing,
    stations,
    tokens,
    trust,
    uploads,
)
from cloud.api.routing import Route

ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *claims.ROUTES,
    *certificates.ROUTES,
    *trust.ROUTES,
    *stations.ROUTES,
    *uploads.ROUTES,
    *fleet.ROUTES,
    *audit.ROUTES,
    *sharing.ROUTES,
    *registrations.ROUTES,
    *bulk.ROUTES,
    *ownership.ROUTES,
    *metrics.ROUTES,
    *tokens.ROUTES,
    *administration.ROUTES,
    *rights.ROUTES,
)
