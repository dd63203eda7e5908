"""The dashboard's routes and parts. Which page does what is in the modules named after them."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard import (
    account,
    adding,
    administration,
    audit,
    bulk,
    claiming,
    data,
    entrance,
    events,
    lost,
    ownership,
    people,
    place,
    replacing,
    speech,
    stations,
    tokens,
    trusting,
)
from cloud.dashboard.errors import page_errors
from cloud.dashboard.rendering import PAGES, Pages, static_file


def setup_dashboard(app: web.Application) -> None:
    """Adds every page. Accounts, sessions, CLAIMS and FLEET must be in the application."""
    app[PAGES] = Pages()
    app.middlewares.append(page_errors)
    app.router.add_routes(
        [
            web.get("/", stations.fleet),
            web.get("/sign-in", entrance.show),
            web.post("/sign-in", entrance.sign_in),
            web.post("/sign-out", entrance.sign_out),
            web.get("/account", account.show),
            web.post("/account/name", account.rename),
            web.post("/account/password", account.change_password),
            web.get("/forgot", lost.show),
            web.post("/forgot", lost.ask),
            web.get("/reset", lost.choose),
            web.post("/reset", lost.change),
            web.get("/account/data", data.show),
            web.get("/account/data.zip", data.export),
            web.post("/account/delete", data.delete_account),
            web.get("/stations/{id}/delete", data.ask_station),
            web.post("/stations/{id}/delete", data.delete_station),
            web.get("/account/tokens", tokens.show),
            web.post("/account/tokens", tokens.make),
            web.post("/account/tokens/revoke", tokens.revoke),
            web.get("/account/log", audit.show),
            web.get("/account/log.csv", audit.export),
            web.get("/account/log.jsonl", audit.export),
            web.get("/administration", administration.show),
            web.post("/administration", administration.suspend),
            web.get("/claim", adding.landing),
            web.get("/stations/add", adding.show),
            web.post("/stations/add", adding.add),
            web.post("/stations/code", adding.code),
            web.get("/claims/{id}", claiming.show),
            web.post("/claims/{id}/cancel", claiming.cancel),
            *bulk.ROUTES,
            *place.ROUTES,
            *ownership.ROUTES,
            *replacing.ROUTES,
            *speech.ROUTES,
            web.get("/stations/{id}", stations.station),
            web.post("/stations/{id}/name", stations.rename),
            web.get("/stations/{id}/people", people.show),
            web.post("/stations/{id}/people", people.invite),
            web.post("/stations/{id}/people/remove", people.remove),
            web.post("/invitations/{id}", people.answer),
            web.post("/stations/{id}/approve", trusting.approve),
            web.post("/stations/{id}/revoke", trusting.revoke),
            web.get("/stations/{id}/events/{event_id}", events.show),
            web.get("/static/{name}", static_file),
        ]
    )
