"""One visit: the patient, and the way to the cloud, which several families ask for and which is gone once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from appliance.doctor.patient import Patient
from appliance.doctor.way import Traveller, Way, is_loopback
from portal.view import Finding

P = ParamSpec("P")
T = TypeVar("T")


class Visit:
    """Begins when it is made; `end` it."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self._way = asyncio.create_task(_go(patient), name="way to the cloud")

    async def way(self) -> Way | None:
        """How far the way to the cloud goes; None where there is no network to go through."""
        return await asyncio.shield(self._way)  # who waits no longer must not end it for the others

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In the doctor's own threads: on a dying disk they hang, and nobody else may wait for that."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.patient.threads, partial(work, *args, **kwargs))

    async def end(self) -> None:
        """Lets go of the way."""
        self._way.cancel()
        await asyncio.wait([self._way])


Family = Callable[[Visit], Awaitable[Sequence[Finding]]]
"""The common shape of the checks: all findings of one kind, in the order in which a person reads them."""


async def _go(patient: Patient) -> Way | None:
    """The way to the cloud, as far as the station's network is one that this machine has."""
    settings = patient.settings
    traveller = Traveller(
        url=patient.cloud_url,
        check_url=settings.network.check_url,
        tls=patient.tls,
        servers=patient.servers,
    )
    return None if _shut(patient) else await traveller.go()


def _shut(patient: Patient) -> bool:
    """A simulated network lets nothing through while it is down, whatever this machine could reach."""
    if patient.backend == "simulated" and patient.running:
        return not patient.link.online
    host = urlsplit(patient.cloud_url).hostname or ""
    return patient.link.kind == "none" and not is_loopback(host)
