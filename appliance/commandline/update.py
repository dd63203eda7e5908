"""`update`: looks for a new version, installs it, goes back, and tells how far it is.

Whoever asks while another process works on an update follows that one: a closed terminal or a second one
changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance import __version__
from appliance.commandline.exits import CommandFailed, Exit
from appliance.paths import Paths
from appliance.settings import Settings
from appliance.updates.build import Busy, NotSetUp, build, folders, held
from firmware.update.agent import Agent
from firmware.update.book import Shelf, State
from firmware.update.jobs import INSTALLED, TAKEN_BACK, Job, read_job
from firmware.update.reasons import Reason, Refused

LOOK_S = 0.5
UP_TO_DATE = "UPD-007"

Tell = Callable[[str], None]
Answer = tuple[dict[str, Any], Exit]


def run(action: str, settings: Settings, folder: Path | None, tell: Tell) -> Answer:
    """What to print, and the exit code. `tell` gets one line for each step. Raises `CommandFailed`."""
    shelf = Shelf(Paths(settings.data_dir).updates)
    if action == "history":
        return {"history": [_past(each) for each in shelf.memory().history]}, Exit.OK
    if action == "status":
        return _status(settings, shelf), Exit.OK
    origin = str(folder.resolve()) if folder else ""
    works = {
        "check": lambda agent: agent.check(origin, asked=bool(origin)),
        "install": lambda agent: _install(agent, origin),
        "rollback": lambda agent: agent.roll_back() or agent.run(),
        "work": _work,
    }
    before = read_job(shelf.folder)
    try:
        with held(shelf), _followed(shelf, tell):
            reason = _guarded(settings, works[action])
    except Busy:
        tell("Another process works on an update; following it.")
        reason = _follow_to_the_end(shelf, tell)
    job = read_job(shelf.folder)
    fresh = job if job is not None and (before is None or job != before) else None
    return _answer(action, fresh, reason)


def _guarded(settings: Settings, work: Callable[[Agent], Reason | None]) -> Reason | None:
    try:
        agent = build(settings)
        agent.recover()
        return work(agent)
    except NotSetUp as error:
        hint = "Set update.backend, update.source and update.trust, or update the way the program came."
        raise CommandFailed(Exit.SETTINGS, str(error), hint) from None
    except Refused as refused:
        raise CommandFailed(Exit.SETTINGS, f"update.trust: {refused}") from None
    except PermissionError:
        raise
    except OSError as error:
        raise CommandFailed(Exit.FAILED, f"UPD-015: {error}", "Make room, then ask again.") from None


def _install(agent: Agent, origin: str) -> Reason | None:
    """What was under way is brought to its end first, unless it only waits."""
    if agent.book.state not in (State.IDLE, State.AVAILABLE):
        return agent.run()
    return agent.check(origin, asked=True) or agent.run()


def _work(agent: Agent) -> Reason | None:
    if agent.book.state not in (State.IDLE, State.AVAILABLE):
        agent.run()
    return agent.check() or agent.run()


# --- following ----------------------------------------------------------------------------------------------


@contextmanager
def _followed(shelf: Shelf, tell: Tell) -> Iterator[None]:
    """A line for each step of the work inside."""
    over = threading.Event()
    seen = [_line(read_job(shelf.folder))]

    def follow() -> None:
        while not over.wait(LOOK_S):
            _tell_news(shelf, seen, tell)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _tell_news(shelf, seen, tell)


def _follow_to_the_end(shelf: Shelf, tell: Tell) -> Reason | None:
    seen, wait = [""], threading.Event()
    while True:
        _tell_news(shelf, seen, tell)
        try:
            with held(shelf):
                _tell_news(shelf, seen, tell)
                job = read_job(shelf.folder)
                return job.reason if job is not None else None
        except Busy:
            wait.wait(LOOK_S)


def _tell_news(shelf: Shelf, seen: list[str], tell: Tell) -> None:
    line = _line(read_job(shelf.folder))
    if line and line != seen[-1]:
        seen.append(line)
        tell(line)


def _line(job: Job | None) -> str:
    return "" if job is None else f"{job.percent:3d} %  {job.version}: {job.sentence}"


# --- answers ------------------------------------------------------------------------------------------------


def _answer(action: str, job: Job | None, reason: Reason | None) -> Answer:
    values = {"job": _told(job), "reason": _reason(reason)}
    if reason is not None:
        return values, Exit.OK if reason.code == UP_TO_DATE or action in ("check", "work") else Exit.REFUSED
    if job is None or not job.result or job.result == INSTALLED:
        return values, Exit.OK
    asked = action == "rollback" and job.result == TAKEN_BACK
    return values, Exit.OK if asked else Exit.FAILED


def _status(settings: Settings, shelf: Shelf) -> dict[str, Any]:
    values: dict[str, Any] = {"job": _told(read_job(shelf.folder)), "program": __version__}
    try:
        backend = folders(settings)
    except NotSetUp as error:
        return values | {"set_up": False, "detail": str(error)}
    running, pointed = backend.running(), backend.pointed()
    return values | {
        "set_up": True,
        "running": running,
        "next_start": pointed,
        "installed": sorted(backend.installed()),
        "previous": shelf.memory().previous or None,
    }


def _told(job: Job | None) -> dict[str, Any] | None:
    if job is None:
        return None
    told: dict[str, Any] = msgspec.to_builtins(job)
    return told | {"sentence": job.sentence, "reason": _reason(job.reason)}


def _past(ended: Any) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(ended)
    return told | {"reason": _reason(ended.reason)}


def _reason(reason: Reason | None) -> dict[str, str] | None:
    if reason is None:
        return None
    return {"code": reason.code, "sentence": str(reason), "action": reason.cause.action}


def lines(values: dict[str, Any]) -> list[str]:
    """The answer for a person."""
    if "history" in values:
        rows = [
            f"{each['at'] or 'time not known'}  {each['former'] or '–'} → {each['version']}"
            f"  {each['result']}{_why(each['reason'])}"
            for each in values["history"]
        ]
        return rows or ["There was no update yet."]
    told = []
    if "set_up" in values:
        told = [f"program      {values['program']}"]
        if not values["set_up"]:
            return [*told, values["detail"]]
        told += [
            f"running      {values['running'] or 'nothing'}",
            f"next start   {values['next_start'] or 'nothing'}",
            f"installed    {', '.join(values['installed']) or 'nothing'}",
            f"previous     {values['previous'] or 'none'}",
        ]
    if (job := values.get("job")) is not None:
        told.append(f"update       {job['version']}: {job['sentence']}{_why(job['reason'])}")
    if (reason := values.get("reason")) is not None and (job is None or job["reason"] != reason):
        told.append(" ".join(filter(None, [reason["sentence"], reason["action"], f"({reason['code']})"])))
    return told or ["There is no update."]


def _why(reason: dict[str, str] | None) -> str:
    return "" if reason is None else f" {reason['sentence']} ({reason['code']})"
