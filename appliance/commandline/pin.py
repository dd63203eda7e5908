"""`pin`: the PIN of the technician's page, for whoever may read the station's secrets."""

from __future__ import annotations

from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.identity.technician import TechnicianFile, read
from appliance.paths import Paths
from appliance.settings import Settings


async def show(settings: Settings, *, new: bool) -> str:
    """The PIN in two groups; with `new` another one. Raises `CommandFailed` or `PermissionError`."""
    try:
        status, answer = await call(settings.control_socket, "POST" if new else "GET", "/pin")
    except NotRunning:
        pin = _from_disk(Paths(settings.data_dir), new=new)
    else:
        if status != 200:
            raise CommandFailed(Exit.FAILED, str(answer.get("detail", "The station refused.")))
        pin = str(answer["pin"])
    return f"{pin[:3]} {pin[3:]}"


def _from_disk(paths: Paths, *, new: bool) -> str:
    kept = read(paths.technician)
    if kept is None:
        hint = "Start it once with `meteor-appliance run`."
        raise CommandFailed(Exit.FAILED, "This station has no PIN yet.", hint)
    return TechnicianFile(paths.identity).renew().pin if new else kept.pin
