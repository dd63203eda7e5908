"""`reset`: the factory reset, by the running station or directly."""

from __future__ import annotations

from appliance import hardware, reset
from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.paths import Paths
from appliance.settings import Settings
from firmware.errors import ResetFailed


async def start_over(settings: Settings, *, purge: bool) -> str:
    """The sentence to print. Raises `CommandFailed`."""
    kept = "Events that waited were removed." if purge else "Events that wait to be sent are kept."
    try:
        status, answer = await call(settings.control_socket, "POST", "/reset", json={"purge": purge})
    except NotRunning:
        paths = Paths(settings.data_dir)
        reset.wish(paths, purge=purge)
        try:
            network = await hardware.network(settings, paths)
            await reset.finish_pending(paths, network, settings.spool)
        except ResetFailed as error:
            raise CommandFailed(Exit.FAILED, str(error)) from None
    else:
        if status != 202:
            raise CommandFailed(Exit.FAILED, answer.get("detail", "The station refused."))
    return f"The station starts over. {kept}"
