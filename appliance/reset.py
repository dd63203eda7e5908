"""The reset of this station: what each holding is on disk, and how it goes away for good.

It runs while nothing else of the station runs. The wish is durable before it is answered, so a power cut in
between cannot lose it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance.conductor import Conductor
from appliance.files import private_folder, remove_durably, to_the_end, write_atomically
from appliance.headless.boot import forget_network
from appliance.media_folders import elsewhere
from appliance.network.port import NetworkPort
from appliance.paths import Paths
from buffer.folders import sync_folder
from firmware.reset import Extent, FactoryReset, Holding, ResetPlan, wish_text
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)


def wish(paths: Paths, extent: Extent) -> None:
    """Makes the wish for a reset durable; the next start, or `carry_out`, fulfils it."""
    private_folder(paths.state)
    write_atomically(paths.reset_marker, wish_text(extent).encode())


class StartOver:
    """How a running station is asked for the reset: by its button, by the command line."""

    def __init__(self, paths: Paths, conductor: Conductor) -> None:
        self._paths = paths
        self._conductor = conductor

    async def ask(self, extent: Extent = Extent.OWNER) -> bool:
        """Makes the wish durable and ends the present life of the station. Raises `OSError`.

        False in `halted`, which only a person who switches the station off and on can end.
        """
        if not self._conductor.allows(Trigger.RESET_REQUESTED):
            return False
        await to_the_end(wish, self._paths, extent)
        self._conductor.request(Trigger.RESET_REQUESTED)
        return True


def station_reset(paths: Paths, network: NetworkPort, spool: Path) -> FactoryReset:
    """The reset with all its removers. `network` must be usable and have no other user."""

    async def forget_networks() -> None:
        await network.forget_all()
        await _files(paths.networks, paths.country)()  # another backend may have stored the networks
        await _folders(paths.authorities)()
        await asyncio.to_thread(forget_network, paths.boot_copy)

    return FactoryReset(
        paths.reset_marker,
        {
            Holding.CREDENTIALS: _files(
                *paths.next_pair, paths.device_key, paths.sealed_key, paths.credentials
            ),
            Holding.CLAIM_CARD: _files(paths.card, paths.hotspot_key, paths.technician),
            Holding.CONFIGURATION: _files(paths.config, paths.record, paths.boot_copy),
            Holding.NETWORKS: forget_networks,
            Holding.EVENTS: _folders(paths.buffer, *elsewhere(paths), spool / "accepted", spool / "rejected"),
        },
    )


async def finish_pending(paths: Paths, network: NetworkPort, spool: Path) -> ResetPlan | None:
    """Fulfils a wish that is on disk, if there is one. Raises `ResetFailed`."""
    if not paths.reset_marker.exists():
        return None
    await network.start()
    try:
        plan = await station_reset(paths, network, spool).finish_pending()
    finally:
        await network.close()
    if plan is not None:
        log.warning("reset done; removed: %s", ", ".join(plan.remove))
    return plan


def _files(*files: Path) -> Callable[[], Awaitable[None]]:
    async def remove() -> None:
        for file in files:
            await asyncio.to_thread(remove_durably, file)

    return remove


def _folders(*folders: Path) -> Callable[[], Awaitable[None]]:
    def drop() -> None:
        for folder in folders:
            if folder.exists():
                shutil.rmtree(folder)
                sync_folder(folder.parent)

    async def remove() -> None:
        await asyncio.to_thread(drop)

    return remove
