"""Every route of the interface in one table, from which router and document are made."""

from __future__ import annotations

from cloud.api import certificates, claims, fleet, health, stations, trust, uploads
from cloud.api.routing import Route

ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *claims.ROUTES,
    *certificates.ROUTES,
    *trust.ROUTES,
    *stations.ROUTES,
    *uploads.ROUTES,
    *fleet.ROUTES,
)
