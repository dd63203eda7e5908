"""What people and programs asked of the station and a stage has not yet taken up."""

from __future__ import annotations

import asyncio

from appliance.network.port import Credentials


class Inbox:
    """Wishes that wait. Setting one wakes the stage that waits for it; nothing here is durable."""

    def __init__(self) -> None:
        self._client = asyncio.Event()
        self._credentials: Credentials | None = None
        self._asked = asyncio.Event()
        self._taken = asyncio.Event()
        self._cancelled = asyncio.Event()
        self._claim = asyncio.Event()

    def client_joined(self) -> None:
        """A phone opened the setup page."""
        self._client.set()

    async def wait_client(self) -> None:
        """Until a phone opens the setup page, or at once when a choice was made already."""
        if self._credentials is None:
            self._client.clear()
            await self._client.wait()

    def join(self, credentials: Credentials) -> None:
        """A person chose a network."""
        self._credentials = credentials
        self._taken.clear()
        self._asked.set()

    @property
    def has_credentials(self) -> bool:
        """True while a choice waits to be tried."""
        return self._credentials is not None

    async def wait_credentials(self) -> None:
        """Until a person has chosen a network."""
        if self._credentials is None:
            self._asked.clear()
            await self._asked.wait()

    def take_credentials(self) -> Credentials | None:
        """The choice, once."""
        taken, self._credentials = self._credentials, None
        self._taken.set()
        return taken

    async def wait_taken(self) -> None:
        """Until the choice is being tried."""
        await self._taken.wait()

    def cancel(self) -> None:
        """A person went back."""
        self._cancelled.set()

    async def wait_cancelled(self) -> None:
        """Until a person goes back."""
        self._cancelled.clear()
        await self._cancelled.wait()

    def claim_changed(self) -> None:
        """A claim code arrived, or the person asked to try again."""
        self._claim.set()

    async def wait_claim(self, seconds: float) -> bool:
        """Until a claim code arrives, for at most so long. True when one arrived."""
        try:
            async with asyncio.timeout(seconds):
                await self._claim.wait()
        except TimeoutError:
            return False
        finally:
            self._claim.clear()
        return True
