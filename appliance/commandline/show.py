"""`status`: the station's condition for a terminal, drawn from the same snapshot as its pages."""

from __future__ import annotations

from typing import Any

from appliance.commandline.local import NotRunning, call
from appliance.identity.credentials import read_credentials
from appliance.paths import Paths
from appliance.settings import Settings
from firmware.board import read_board
from firmware.fingerprint import hardware_id
from statemachine.record import RecordDamaged, decode

MARKS = {"failed": "■", "working": "▲", "running": "●", "waiting": "○", "unknown": "–"}


async def gather(settings: Settings, config: str) -> dict[str, Any]:
    """Everything that `status` shows; without a running station what lies on disk tells some of it."""
    base = {
        "hardware_id": str(hardware_id(read_board())),
        "config_path": config,
        "data_dir": str(settings.data_dir),
    }
    try:
        _, snapshot = await call(settings.control_socket, "GET", "/status")
    except NotRunning:
        return base | {"running": False} | _from_disk(Paths(settings.data_dir))
    return base | {"running": True} | snapshot


def _from_disk(paths: Paths) -> dict[str, Any]:
    try:
        credentials = read_credentials(paths.credentials)
    except ValueError:
        credentials = None
    try:
        state = decode(paths.record.read_bytes()).state.value
    except (OSError, RecordDamaged):
        state = "unknown"
    return {
        "state": state,
        "claimed": credentials is not None,
        "device_id": credentials.device_id if credentials else None,
        "station_name": credentials.name if credentials else None,
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """The facts as lines for a person."""
    head = [f"hardware     {facts['hardware_id']}", f"settings     {facts['config_path']}"]
    if not facts["running"]:
        claimed = f"yes, {facts['station_name']} ({facts['device_id']})" if facts["claimed"] else "no"
        return [
            "– The station is not running. Start it with `meteor-appliance run`.",
            *head,
            f"last state   {facts['state']}",
            f"registered   {claimed}",
        ]
    return [_headline(facts), *head, *_connection(facts), *_work(facts), *_update(facts), *_notices(facts)]


def _headline(facts: dict[str, Any]) -> str:
    return f"{MARKS[facts['tone']]} {facts['station_name']} ({facts['short_id']}): {facts['step']}"


def _connection(facts: dict[str, Any]) -> list[str]:
    network, clock, led = facts["network"], facts["clock"], facts["led"]
    place = network["ssid_display"] or network["kind"]
    online = "online" if network["online"] else "offline"
    rows = [
        f"state        {facts['state']} (phase {facts['phase']}, {facts['progress']} %)",
        f"registered   {'yes' if facts['claimed'] else 'no'}",
        f"network      {place}, {online}{', hotspot open' if facts['hotspot'] else ''}",
        f"country      {_country(facts)}",
        f"clock        {clock['time']}, source {clock['source']}, {_quality(clock)}",
        f"light        {led['colour']} {led['shape']}: {led['description']}",
    ]
    if card := facts["card"]:
        rows.append(f"claim        short id {card['short_id']}, PIN {card['pin'][:3]} {card['pin'][3:]}")
        rows.append(f"             at {card['cloud_address']}")
    return rows


_SAID_BY = {
    "settings": " (network.country)",
    "person": " (as a person said)",
    "guess": " (as the networks nearby say)",
}


def _country(facts: dict[str, Any]) -> str:
    return f"{facts['country'] or 'not known'}{_SAID_BY.get(facts['country_by'], '')}"


def _quality(clock: dict[str, Any]) -> str:
    return "synchronized" if clock["synchronized"] else "not synchronized"


def _work(facts: dict[str, Any]) -> list[str]:
    waiting = facts["backlog"]["waiting"]
    depth = ", ".join(f"{row['priority']} {row['count']}" for row in waiting)
    breaker, uploads = facts["breaker"], facts["uploads"]
    files = facts["files"]
    return [
        f"waiting      {depth or 'nothing'}; dead {facts['backlog']['dead']}",
        f"uplink       breaker {breaker['state']}{_why(breaker)}; {uploads['delivered']} delivered,"
        f" last {uploads['last'] or 'never'}",
        f"orders       {_ORDERS[facts['realtime'] == 'connected']} (live connection: {facts['realtime']})",
        *([f"files        breaker {files['state']}{_why(files)}"] if files["reason"] else []),
    ]


_ORDERS = ("with the next heartbeat", "at once")


def _update(facts: dict[str, Any]) -> list[str]:
    update = facts.get("update") or {}
    if not update.get("version"):
        return []
    done = "" if update["result"] else f" ({update['percent']} %)"
    reason = f" {update['reason']} ({update['code']})" if update["code"] else ""
    return [f"update       {update['version']}: {update['step']}{done}{reason}"]


def _why(breaker: dict[str, Any]) -> str:
    return f" ({breaker['reason']}; next try in {breaker['retry_in']} s)" if breaker["reason"] else ""


def _notices(facts: dict[str, Any]) -> list[str]:
    return [f"! {each['sentence']} {each['action']} ({each['code']})" for each in facts["warnings"]]
