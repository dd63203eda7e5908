"""Every route of the interface in one table, from which router and document are made."""

from __future__ import annotations

from cloud.api import (
    audit,
    bulk,
    claims,
    fleet,
    health,
    ownership,
    registrations,
    sharing,
    stations,
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
    *registrations.ROUTES,
    *bulk.ROUTES,
    *ownership.ROUTES,
)
