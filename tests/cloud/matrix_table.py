"""Who gets which answer at which route. The world in which it is asked is in `matrix`, the test beside it.

A row has the statuses for nobody, owner, technician, viewer, stranger, administrator, the station itself and
another station, in this order. A route that is added needs a row here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.people_parts import PASSWORD

ACTORS = ("nobody", "owner", "technician", "viewer", "stranger", "administrator", "itself", "neighbour")
ORDER = ("nobody", "stranger", "neighbour", "viewer", "administrator", "itself", "technician", "owner")
"""Those who may do least go first, so that what the last ones change disturbs nobody."""


@dataclass(frozen=True)
class Row:
    """`body` is JSON, or a form for a page; words in braces are filled from the world."""

    statuses: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""

    def expected(self, actor: str) -> int:
        return int(self.statuses.split()[ACTORS.index(actor)])


ALL, PAGE = "200 200 200 200 200 200 200 200", "200 200 200 200 200 200 200 200"
SIGNED_IN = "401 200 200 200 200 200 401 401"
READ = "401 200 200 200 404 200 401 401"
COMMAND = "401 201 201 403 404 403 401 401"
OWN = "401 200 403 403 404 403 401 401"
ADMINISTRATOR = "401 404 404 404 404 200 401 401"
DEVICE = "401 401 401 401 401 401 200 404"
OWN_PATH = "401 401 401 401 401 401 200 200"
DOOR = "303 200 200 200 200 200 303 303"
READ_PAGE = "303 200 200 200 404 200 303 303"
OWN_PAGE = "303 200 403 403 404 403 303 303"
GO_ON = "303 303 303 303 303 303 303 303"

_TUS = {"Tus-Resumable": "1.0.0"}
FILE = b"a file of the station"
_EVENT = {
    "event_id": "{new_event}",
    "client_event_id": "{new_event}",
    "event_type": "meteor",
    "timestamp": "2026-01-01T00:00:00Z",
}
_BEAT = {"uptime": 1.0, "boot_id": "b", "seq": 1, "state": "operational"}

INTERFACE: dict[tuple[str, str], Row] = {
    ("GET", "/health"): Row(ALL),
    ("GET", "/.well-known/security.txt"): Row(ALL.replace("200", "404")),
    ("GET", "/v1/jwks"): Row(ALL),
    ("GET", "/v1/openapi.json"): Row(ALL),
    ("OPTIONS", "/v1/devices/{device_id}/uploads"): Row(ALL.replace("200", "204")),
    ("POST", "/v1/devices/claim-token"): Row(SIGNED_IN.replace("200", "201"), {}),
    ("POST", "/v1/devices/register/initiate"): Row(SIGNED_IN, {}),
    ("GET", "/v1/devices/claim-status/{claim_id}"): Row("401 200 404 404 404 404 200 404"),
    ("POST", "/v1/devices/claim"): Row(OWN_PATH, {"card": True}),
    ("POST", "/v1/devices/register/validate"): Row(DEVICE, {"claim_id": "{claim_id}"}),
    ("POST", "/v1/devices/register/confirm"): Row(DEVICE, {"confirm": True}),
    ("POST", "/v1/devices/heartbeat"): Row(OWN_PATH, _BEAT),
    ("POST", "/v1/devices/{device_id}/heartbeat"): Row(DEVICE, _BEAT),
    ("POST", "/v1/devices/{device_id}/telemetry"): Row(DEVICE, _BEAT),
    ("POST", "/v1/devices/events"): Row("401 401 401 401 401 401 201 201", _EVENT),
    ("POST", "/v1/devices/{device_id}/events"): Row("401 401 401 401 401 401 201 404", _EVENT),
    ("POST", "/v1/devices/{device_id}/events/kept"): Row(DEVICE, {"events": [], "media": []}),
    ("GET", "/v1/devices/config/{device_id}"): Row(DEVICE),
    ("GET", "/v1/devices/{device_id}/config"): Row(DEVICE),
    ("GET", "/v1/devices/{device_id}/commands"): Row(DEVICE),
    ("POST", "/v1/devices/{device_id}/uploads"): Row(
        "401 401 401 401 401 401 201 404",
        headers=_TUS
        | {
            "Upload-Length": str(len(FILE)),
            "Upload-Metadata": "sha256 "
            + base64.b64encode(hashlib.sha256(FILE).hexdigest().encode()).decode(),
        },
    ),
    ("HEAD", "/v1/devices/{device_id}/uploads/{upload_id}"): Row(DEVICE, headers=_TUS),
    ("PATCH", "/v1/devices/{device_id}/uploads/{upload_id}"): Row(
        "401 401 401 401 401 401 204 404", {"piece": True}, _TUS | {"Upload-Offset": "0"}
    ),
    ("GET", "/v1/devices"): Row(SIGNED_IN),
    ("GET", "/v1/devices/{device_id}"): Row(READ),
    ("PATCH", "/v1/devices/{device_id}"): Row(COMMAND.replace("201", "200"), {"name": "Roof"}),
    ("POST", "/v1/devices/{device_id}/commands"): Row(COMMAND, {"type": "restart"}),
    ("GET", "/v1/devices/{device_id}/events"): Row(READ),
    ("GET", "/v1/devices/{device_id}/events/{event_id}"): Row(READ),
    ("GET", "/v1/devices/{device_id}/media/{sha256}"): Row(READ),
    ("GET", "/v1/tokens"): Row(SIGNED_IN),
    ("POST", "/v1/tokens"): Row(SIGNED_IN.replace("200", "201"), {"name": "mine", "scopes": ["read"]}),
    ("DELETE", "/v1/tokens/{token_id}"): Row("401 204 404 404 404 404 401 401"),
    ("GET", "/v1/administration/devices"): Row(ADMINISTRATOR),
    ("GET", "/v1/administration/accounts"): Row(ADMINISTRATOR),
    ("POST", "/v1/administration/devices/{device_id}"): Row(
        ADMINISTRATOR.replace("200", "204"), {"suspended": False}
    ),
    ("POST", "/v1/administration/accounts/{account_id}"): Row(
        ADMINISTRATOR.replace("200", "204"), {"suspended": False}
    ),
    ("GET", "/v1/account/export"): Row(SIGNED_IN),
    ("POST", "/v1/account/delete"): Row(SIGNED_IN.replace("200", "204"), {"password": PASSWORD}),
    ("DELETE", "/v1/devices/{device_id}"): Row(OWN.replace("200", "204")),
    ("GET", "/v1/metrics"): Row(ADMINISTRATOR),
    ("GET", "/v1/audit"): Row(SIGNED_IN),
    ("GET", "/v1/audit/export"): Row(SIGNED_IN),
    ("GET", "/v1/devices/{device_id}/people"): Row(OWN),
    ("POST", "/v1/devices/{device_id}/people"): Row(
        OWN.replace("200", "204"), {"email": "new@example.org", "role": "viewer"}
    ),
    ("DELETE", "/v1/devices/{device_id}/people/{member_id}"): Row(OWN.replace("200", "204")),
    ("GET", "/v1/invitations"): Row(SIGNED_IN),
    ("POST", "/v1/invitations/{invitation_id}"): Row("401 404 404 404 204 404 401 401", {"accept": True}),
    ("GET", "/crl"): Row(ALL),
    ("GET", "/time"): Row(ALL, query="?nonce=AAAAAAAAAAAAAAAAAAAAAA"),
    ("GET", "/v1/keys"): Row(ALL),
    ("GET", "/v1/devices/{device_id}/certificates"): Row(READ),
    ("GET", "/v1/devices/{device_id}/certificates/{serial}"): Row(READ),
    ("POST", "/v1/devices/{device_id}/certificates/approve"): Row(OWN.replace("200", "204")),
    ("POST", "/v1/devices/{device_id}/certificates/renew"): Row(
        "401 401 401 401 401 401 201 404", {"renew": True}
    ),
    ("POST", "/v1/devices/{device_id}/token"): Row(DEVICE),
    ("POST", "/v1/devices/{device_id}/revoke"): Row(OWN, {}),
    ("POST", "/v1/devices/{device_id}/release"): Row(OWN),
    ("POST", "/v1/devices/{device_id}/transfer"): Row(OWN.replace("200", "201")),
    ("DELETE", "/v1/devices/{device_id}/transfer"): Row(OWN),
    ("POST", "/v1/devices/transfers/accept"): Row(
        "401 404 404 404 200 404 401 401", {"transfer_token": "{token}"}
    ),
    ("GET", "/v1/devices/{device_id}/replacements"): Row(OWN),
    ("POST", "/v1/devices/{device_id}/replacements/{claim_id}"): Row(
        "401 404 403 403 404 403 401 401", {"accept": False}
    ),
    ("POST", "/v1/devices/preauthorize"): Row(
        SIGNED_IN.replace("200", "201"), {"stations": [{"keyid": "A" * 43}]}
    ),
    ("POST", "/v1/devices/batches"): Row(SIGNED_IN.replace("200", "201"), {"stations": [{}]}),
    ("GET", "/v1/devices/batches/{batch_id}"): Row("401 200 404 404 404 404 401 401"),
    ("DELETE", "/v1/devices/batches/{batch_id}"): Row("401 200 404 404 404 404 401 401"),
    ("GET", "/v1/devices/registrations"): Row(SIGNED_IN),
    ("POST", "/v1/devices/registrations/{message_id}/retry"): Row("401 404 404 404 404 404 401 401"),
    ("POST", "/v1/devices/registration-token"): Row(SIGNED_IN.replace("200", "201")),
    ("POST", "/v1/devices/register"): Row(SIGNED_IN.replace("200", "201"), {"name": "Roof"}),
    ("POST", "/api/v1/devices/register"): Row(
        "401 401 401 401 401 401 401 401", {"hardwareId": "CPU_0000000000000009"}
    ),
}

PAGES: dict[tuple[str, str], Row] = {
    ("GET", "/"): Row(DOOR),
    ("GET", "/sign-in"): Row("200 303 303 303 303 303 200 200"),
    ("POST", "/sign-in"): Row("303 " * 6 + "401 401", {"email": "owner@example.org", "password": PASSWORD}),
    ("POST", "/language"): Row("303 " * 8, {"language": "de"}),
    ("GET", "/forgot"): Row(PAGE),
    ("POST", "/forgot"): Row(PAGE, {}),
    ("GET", "/reset"): Row("410 " * 8),
    ("POST", "/reset"): Row("410 " * 8, {"token": "x", "new": "another good password"}),
    ("GET", "/account/tokens"): Row(DOOR),
    ("POST", "/account/tokens"): Row(DOOR, {"name": "mine", "scope_read": "1"}),
    ("POST", "/account/tokens/revoke"): Row("303 303 404 404 404 404 303 303", {"token": "{token_id}"}),
    ("POST", "/sign-out"): Row(GO_ON, {}),
    ("GET", "/account"): Row(DOOR),
    ("POST", "/account/name"): Row(GO_ON, {"name": "Somebody"}),
    ("POST", "/account/password"): Row(GO_ON, {"current": PASSWORD, "new": "another good password"}),
    ("GET", "/account/log"): Row(DOOR),
    ("GET", "/account/log.csv"): Row(DOOR),
    ("GET", "/account/log.jsonl"): Row(DOOR),
    ("GET", "/administration"): Row("303 404 404 404 404 200 303 303"),
    ("POST", "/administration"): Row("303 404 404 404 404 303 303 303", {"suspend": "{device_id}"}),
    ("GET", "/account/data"): Row(DOOR),
    ("GET", "/account/data.zip"): Row(DOOR),
    ("POST", "/account/delete"): Row(GO_ON, {"current": PASSWORD}),
    ("GET", "/stations/{device_id}/delete"): Row(OWN_PAGE),
    ("POST", "/stations/{device_id}/delete"): Row(OWN_PAGE.replace("200", "303"), {"short_id": "{short_id}"}),
    ("GET", "/claim"): Row(PAGE),
    ("GET", "/stations/add"): Row(DOOR),
    ("POST", "/stations/add"): Row(GO_ON, {"short_id": "BCDFGH", "pin": "123456"}),
    ("POST", "/stations/code"): Row(DOOR, {}),
    ("GET", "/claims/{claim_id}"): Row("303 200 404 404 404 404 303 303"),
    ("POST", "/claims/{claim_id}/cancel"): Row("303 303 404 404 404 404 303 303", {}),
    ("GET", "/stations/{device_id}"): Row(READ_PAGE),
    ("POST", "/stations/{device_id}/name"): Row("303 303 303 403 404 403 303 303", {"name": "Roof"}),
    ("GET", "/stations/{device_id}/events/{event_id}"): Row(READ_PAGE),
    ("GET", "/stations/{device_id}/people"): Row(OWN_PAGE),
    ("POST", "/stations/{device_id}/people"): Row(
        OWN_PAGE.replace("200", "303"), {"email": "new@example.org", "role": "viewer"}
    ),
    ("POST", "/stations/{device_id}/people/remove"): Row(
        OWN_PAGE.replace("200", "303"), {"person": "{member_id}"}
    ),
    ("POST", "/invitations/{invitation_id}"): Row("303 404 404 404 303 404 303 303", {"answer": "accept"}),
    ("GET", "/static/{name}"): Row(PAGE),
    ("GET", "/device-realtime"): Row("403 " * 6 + "400 400"),
    ("GET", "/map"): Row(DOOR),
    ("GET", "/stations/bulk"): Row(DOOR),
    ("POST", "/stations/bulk"): Row(DOOR, {"kind": "labels", "list": "name\nRoof"}),
    ("GET", "/stations/former"): Row(DOOR),
    ("GET", "/stations/{device_id}/give-up"): Row(OWN_PAGE),
    ("POST", "/stations/{device_id}/release"): Row(OWN_PAGE.replace("200", "303"), {"sure": "yes"}),
    ("POST", "/stations/{device_id}/transfer"): Row(OWN_PAGE, {}),
    ("POST", "/stations/{device_id}/transfer/withdraw"): Row(OWN_PAGE.replace("200", "303"), {}),
    ("GET", "/transfer/{token}"): Row("303 200 200 200 200 200 303 303"),
    ("POST", "/transfer/{token}"): Row("303 404 404 404 303 404 303 303", {}),
    ("GET", "/stations/{device_id}/place"): Row("303 200 200 403 404 403 303 303"),
    ("POST", "/stations/{device_id}/place"): Row(
        "303 303 303 403 404 403 303 303", {"latitude": "48.2", "longitude": "16.4"}
    ),
    ("GET", "/stations/{device_id}/replacements"): Row(OWN_PAGE),
    ("POST", "/stations/{device_id}/replacements/{claim_id}"): Row(
        "303 404 403 403 404 403 303 303", {"answer": "no"}
    ),
    ("POST", "/stations/{device_id}/approve"): Row(OWN_PAGE.replace("200", "303"), {}),
    ("POST", "/stations/{device_id}/revoke"): Row(OWN_PAGE.replace("200", "303"), {"sure": "{short_id}"}),
}
