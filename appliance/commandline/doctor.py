"""`doctor`: what is wrong, told by the running station, or found out beside a stopped one."""

from __future__ import annotations

from typing import Any

import aiohttp

from appliance.commandline.exits import Exit
from appliance.commandline.local import NotRunning, call
from appliance.doctor.examine import examine
from appliance.doctor.station import PATIENCE_S
from appliance.doctor.stopped import patient_of
from appliance.doctor.told import told
from appliance.settings import Settings


async def ask(settings: Settings) -> dict[str, Any]:
    """The findings, in order. Raises `CommandFailed`."""
    try:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        _, answer = await call(settings.control_socket, "GET", "/doctor", timeout=timeout)
    except NotRunning:
        return {"running": False, "findings": told(await examine(await patient_of(settings)))}
    except TimeoutError:
        return {"running": True, "findings": told(await examine(await patient_of(settings, silent=True)))}
    return {"running": True, "findings": answer["findings"]}


def exit_code(facts: dict[str, Any]) -> Exit:
    """1 when anything is wrong."""
    wrong = any(each["verdict"] == "fail" for each in facts["findings"])
    return Exit.FAILED if wrong else Exit.OK
