"""The device as its stages see it: collaborators, and the little that a stage hands to the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from appliance.about import network_info
from appliance.configuration.apply import Configuration
from appliance.country import Country
from appliance.files import to_the_end
from appliance.former import FormerOwners
from appliance.headless.boot import BootFile
from appliance.identity.card import Card, CardFile
from appliance.identity.credentials import CredentialsFile
from appliance.identity.hotspot import HotspotKey
from appliance.identity.keys import DeviceKey
from appliance.inbox import Inbox
from appliance.journal import Journal
from appliance.network.port import HotspotFailed, HotspotInfo, NetworkPort
from appliance.panel import Panel
from appliance.settings import Settings
from appliance.uplink.claim import Claiming, Hardware
from appliance.uplink.client import CloudClient
from appliance.uplink.heartbeat import Heartbeat
from appliance.uplink.realtime import Realtime
from appliance.uplink.renewal import Renewal
from appliance.uplink.time import CloudTime
from protocol.envelope import Envelope
from protocol.messages import ClaimComplete, NetworkInfo, ValidateAnswer

log = logging.getLogger(__name__)

HOTSPOT_ADDRESS = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): never routed, and not private, so that no phone calls the portal suspicious."""


@dataclass(frozen=True)
class Fault:
    """What keeps this station from working at all, until a person mends it."""

    code: str
    text: str


@dataclass
class ClaimProgress:
    """The claim in hand. Lost at a restart, because the cloud gives the same claim to the same key."""

    id: str | None = None
    interval: float = 5.0
    challenge: ValidateAnswer | None = None
    complete: ClaimComplete | None = None

    def clear(self) -> None:
        """After success and after failure."""
        self.id, self.challenge, self.complete = None, None, None


@dataclass(kw_only=True)
class Device:
    """Everything a stage may use. Built by the composition root, owned by the conductor's task."""

    settings: Settings
    time: CloudTime
    network: NetworkPort
    key: DeviceKey
    card: CardFile
    hotspot_key: HotspotKey
    boot: BootFile
    country: Country
    credentials: CredentialsFile
    journal: Journal
    client: CloudClient
    claiming: Claiming
    heartbeat: Heartbeat
    renewal: Renewal
    realtime: Realtime
    configuration: Configuration
    hardware: Hardware
    inbox: Inbox
    panel: Panel
    former: FormerOwners
    queue_start_note: Callable[[], Awaitable[None]]
    local_name: Callable[[], str] = lambda: ""
    fault: Fault | None = None
    claim: ClaimProgress = field(default_factory=ClaimProgress)
    envelope: Envelope | None = None
    hotspot_code: str | None = field(default=None, repr=False)
    _start_noted: bool = False

    @property
    def claimed(self) -> bool:
        """Whether this station belongs to someone."""
        return self.credentials.current is not None

    @property
    def name(self) -> str:
        """The owner's name for the station, or the one from the settings."""
        current = self.credentials.current
        return current.name if current else self.settings.device.name

    def network_info(self) -> NetworkInfo:
        """The link as the cloud is told of it."""
        return network_info(self.network.link())

    async def open_hotspot(self) -> None:
        """Raises the hotspot, always with the same name and key. Without a radio the portal is on the LAN."""
        if self.network.hotspot() is not None:
            return
        key = await to_the_end(self.hotspot_key.current)
        known = self.panel.has_display or await to_the_end(self.hotspot_key.is_chosen)
        wanted = self.boot.hotspot_open or self.settings.network.hotspot_open
        may = known or self.boot.hotspot_open
        if wanted and not may:
            log.warning("the hotspot stays protected: nothing here can show the code that an open one needs")
        name = f"Meteor-{self.key.short_id}"
        info = HotspotInfo(name, key, HOTSPOT_ADDRESS, open=wanted and may, may_be_open=known)
        self.hotspot_code = key if known else None
        try:
            await self.network.start_hotspot(info)
        except HotspotFailed as failure:
            log.warning("no hotspot: %s", failure)
            return
        opened = self.network.hotspot()
        if opened is not None and opened.open:
            log.warning("the hotspot %s is open: everybody near it can see what is typed there", info.ssid)
        self.panel.show_hotspot(info.ssid, key)
        log.info("hotspot started: %s", info.ssid)

    def code_for_hotspot(self) -> str | None:
        """What the page must be told before it takes a network: on an open hotspot, where somebody can know
        it. None while nothing is asked."""
        hotspot = self.network.hotspot()
        return self.hotspot_code if hotspot is not None and hotspot.open else None

    async def publish_card(self) -> None:
        """Shows PIN and QR code wherever this station can show something."""
        card: Card = await to_the_end(self.card.current)
        if self.panel.show_card(card, self.client.url):
            log.info("QR and PIN published for %s", card.short_id)

    async def note_start(self) -> None:
        """Puts the first words of this start into the buffer, once."""
        if self._start_noted:
            return
        self._start_noted = True
        await asyncio.shield(self.queue_start_note())
        log.info("startup telemetry queued")
