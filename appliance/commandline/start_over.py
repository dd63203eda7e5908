"""`reset`: the networks alone, the owner, or all; by the running station or directly."""

from __future__ import annotations

from appliance import hardware, reset
from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.paths import Paths
from appliance.settings import Settings
from firmware.errors import ResetFailed
from firmware.reset import Extent

DONE = {
    Extent.NETWORKS: "The station forgets its networks and opens its setup hotspot. All else is kept.",
    Extent.OWNER: "The station starts over. Events that wait to be sent are kept.",
    Extent.ALL: "The station starts over. Events that waited were removed.",
}


async def start_over(settings: Settings, extent: Extent) -> str:
    """The sentence to print. Raises `CommandFailed`."""
    try:
        status, answer = await call(settings.control_socket, "POST", "/reset", json={"extent": extent})
    except NotRunning:
        paths = Paths(settings.data_dir)
        reset.wish(paths, extent)
        try:
            network = await hardware.network(settings, paths)
            await reset.finish_pending(paths, network, settings.spool)
        except ResetFailed as error:
            raise CommandFailed(Exit.FAILED, str(error)) from None
    else:
        if status != 202:
            raise CommandFailed(Exit.FAILED, answer.get("detail", "The station refused."))
    return DONE[extent]
