"""Builds every part of the station and hands collaborators in; no part finds another by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance import hardware
from appliance.about import look_at_hardware, storage
from appliance.chores import upkeep
from appliance.conductor import Conductor
from appliance.configuration.apply import Configuration
from appliance.configuration.schema import DeviceConfig
from appliance.country import Country
from appliance.device import Device, Fault
from appliance.doctor.running import Doctor, Looker
from appliance.former import FormerOwners
from appliance.front import Front
from appliance.gate import Gate
from appliance.governor import Governor
from appliance.headless.boot import BootFile
from appliance.identity.card import CardFile
from appliance.identity.credentials import CredentialsFile
from appliance.identity.file_keys import FileKeys, ephemeral
from appliance.identity.hotspot import HotspotKey
from appliance.identity.keys import DeviceKey, KeyDamaged, KeyStore, KeyUnavailable, load_or_create
from appliance.identity.nonces import Nonces
from appliance.identity.renewal import NextPair
from appliance.identity.stores import store_of
from appliance.identity.technician import TechnicianFile
from appliance.inbox import Inbox
from appliance.intakes import IntakeLog, note
from appliance.journal import Journal
from appliance.linkwatch import LinkWatch
from appliance.logs import Tail
from appliance.metrics import figures
from appliance.network.hotspot.phones import Phones
from appliance.network.maintain import Maintainer
from appliance.network.mdns import Announcer
from appliance.network.port import NetworkPort
from appliance.network.simulated import SimulatedNetwork
from appliance.panel import Panel
from appliance.paths import Paths
from appliance.report import Condition
from appliance.reset import StartOver
from appliance.settings import Settings
from appliance.sources.accept import Accepted, Intake
from appliance.sources.spool import Spool
from appliance.stages.table import STAGES
from appliance.status import StatusBoard
from appliance.support.running import Support
from appliance.technician import Technician
from appliance.telemetry.application import Application
from appliance.telemetry.host import HostTelemetry
from appliance.uplink.claim import Claiming
from appliance.uplink.client import CloudClient, trust
from appliance.uplink.delivery import Delivery
from appliance.uplink.failover import return_to_primary
from appliance.uplink.first_time import FirstTime, pinned_in_settings, time_address
from appliance.uplink.heartbeat import Heartbeat
from appliance.uplink.pace import Pace
from appliance.uplink.pins import KeyFollower
from appliance.uplink.realtime import Realtime
from appliance.uplink.renewal import Renewal
from appliance.uplink.time import CloudTime
from appliance.whereabouts import Whereabouts
from buffer.breaker import BreakerState
from buffer.clock import SystemClock as BufferClock
from buffer.degradation import Level
from buffer.drain import DrainPolicy
from buffer.drains import Drains
from buffer.media import MediaStore
from buffer.store import Store
from firmware.button import Button, Press
from firmware.clock import keep_past, keep_time
from protocol.timestamp import public_keys
from protocol.vouched import pin_of_pem
from statemachine.lifecycle import Lifecycle, State, Transition, Trigger

log = logging.getLogger(__name__)

KEEP_TIME_S = 600.0

Service = Callable[[], Awaitable[None]]


@dataclass(kw_only=True)
class Station:
    """The built parts that the daemon runs."""

    paths: Paths
    device: Device
    conductor: Conductor
    governor: Governor
    board: StatusBoard
    intake: Intake
    front: Front
    start_over: StartOver
    technician: Technician
    services: list[tuple[str, Service]]


def build(
    settings: Settings,
    paths: Paths,
    network: NetworkPort,
    store: Store,
    media: MediaStore,
    tail: Tail,
    phones: Phones,
) -> Station:
    """All parts, wired. Blocks for a few small files, and for making a key at the first boot."""
    clock = hardware.clock(paths)
    time = CloudTime(clock)
    key, keys, fault = _identity(paths, settings)
    credentials = CredentialsFile(paths.identity)
    if credentials.current is not None and credentials.current.short_id:
        key.short_id = credentials.current.short_id
    journal = Journal(paths.state, time.now)
    nonces = Nonces(paths.state)
    tls = trust(settings.cloud.ca_certificate, settings.cloud.url, *settings.cloud.backup_urls, time=time)
    if tls is not None and credentials.current is not None and fault is None:
        tls.present(credentials.current.certificate, key.private.exported)
    client = CloudClient(
        settings.cloud.url,
        key,
        nonces,
        time,
        network.connector,
        tls,
        backups=settings.cloud.backup_urls,
    )
    hotspot_key = HotspotKey(paths.identity)
    client.before_request = FirstTime(
        time,
        time_address(settings.cloud.url, settings.cloud.time_url),
        partial(_time_pins, settings, credentials),
        network.connector,
        partial(keep_past, paths.clock_floor),
        lambda: _roots(settings, credentials, journal),
    ).ensure
    boot = BootFile(settings.device.boot_folders, paths.boot_copy, hotspot_key, time.now)
    boot.take()
    about = look_at_hardware(clock.boot_id, storage(paths.data), settings.camera)
    lifecycle = Lifecycle(is_claimed=lambda: credentials.current is not None)
    application = Application(now=time.moment)
    intakes = IntakeLog(time.moment)
    intake = Intake(store, media, time, partial(_took, application, intakes))
    spool = Spool(settings.spool, intake, settle_s=settings.sources.settle_seconds)
    policy = DrainPolicy(newest_first=settings.buffer.order == "newest")
    configuration = Configuration(paths.state)
    backup = partial(_backup, configuration)
    former = FormerOwners(store)
    drain = _drains(store, media, client, credentials, application, policy, backup, former)
    gate = Gate(TechnicianFile(paths.identity), clock.monotonic)
    panel = Panel(
        hardware.led(settings), hardware.display(settings), hardware.sound(), clock, lambda: gate.pin
    )
    online = asyncio.Event()
    condition = Condition(application)
    heartbeat = Heartbeat(client, condition, online.wait)
    realtime = Realtime(
        client,
        lambda: credentials.current,
        heartbeat.wake,
        lambda standing: _live_wanted(conductor, drain, governor, standing),
        online.wait,
        random.random,
        on=settings.cloud.realtime == "auto",
    )
    announcer = Announcer(
        key.short_id, settings.portal.port, lambda: network.link().address, lambda: device.claimed
    )
    renewal = Renewal(client, credentials, NextPair(paths.identity, keys), online.wait)
    device = Device(
        settings=settings,
        time=time,
        network=network,
        key=key,
        card=CardFile(paths.identity, key.short_id),
        hotspot_key=hotspot_key,
        boot=boot,
        country=Country(paths.state, settings.network.country, network),
        credentials=credentials,
        journal=journal,
        client=client,
        claiming=Claiming(client, about, settings.cloud.ca_pin),
        heartbeat=heartbeat,
        renewal=renewal,
        realtime=realtime,
        configuration=configuration,
        hardware=about,
        inbox=Inbox(),
        panel=panel,
        former=former,
        queue_start_note=partial(
            note,
            intake,
            time,
            "started",
            f"{key.short_id}:{nonces.boot}",
            {"model": about.info.model},
        ),
        local_name=lambda: announcer.name,
        fault=fault,
    )
    stages = {state: partial(stage, device) for state, stage in STAGES.items()}
    conductor = Conductor(lifecycle, stages, journal, time.now)
    host = HostTelemetry(paths.data)
    governor = Governor(drain, client.meter, lambda: board.supplies(), clock.monotonic, store.spare)
    board = StatusBoard(device, conductor, store, drain, governor, host, intakes, spool, tail, paths.updates)
    condition.attach(device, board, conductor, drain, governor)
    whereabouts = Whereabouts(network, announcer, panel, settings.portal.port, board.announce)
    announcer.observe(whereabouts.named)
    watch = LinkWatch(network, conductor, online)
    watch.when_up(client.meter.link_changed)
    watch.when_up(client.endpoints.link_came_up)
    watch.when_up(drain.kick)
    watch.when_up(heartbeat.kick)
    watch.when_up(realtime.link_came_up)
    heartbeat.when_back(drain.probe)
    configuration.observe(partial(_set_log_level, settings.log.level))
    claimed = _follow_claim(conductor, credentials)
    conductor.observe(partial(_send_at_once, drain))
    conductor.observe(panel.follow)
    conductor.observe(board.follow)
    conductor.observe(whereabouts.follow)
    meters = partial(figures, device, conductor, board, drain, governor)
    looker = Looker(device, conductor, board, drain, store)
    doctor = Doctor(looker.look)
    support = Support(device, board, doctor, looker, meters, tail, phones.trails)
    start_over = StartOver(paths, conductor)
    technician = Technician(device, board, gate, start_over, media)
    front = Front(device, conductor, board, drain, store, meters, technician, phones, doctor, support)
    services: list[tuple[str, Service]] = [
        ("conductor", conductor.run),
        ("link", watch.run),
        ("whereabouts", whereabouts.run),
        # A network that is played has no neighbours.
        *([] if isinstance(network, SimulatedNetwork) else [("name", announcer.run)]),
        ("heartbeat", partial(_after, claimed, heartbeat.run)),
        ("live connection", partial(_after, claimed, realtime.run)),
        ("renewal", partial(_after, claimed, renewal.run)),
        ("keys", partial(_after, claimed, KeyFollower(client, credentials, online.wait).run)),
        ("drain", partial(_after, claimed, drain.run)),
        ("failover", partial(return_to_primary, client)),
        ("status", board.run),
        ("governor", governor.run),
        ("connection", Maintainer(network, client.meter, clock.monotonic).run),
        ("panel", panel.run),
        ("spool", spool.run),
        ("upkeep", upkeep(settings, configuration, store, media, time, lambda: governor.duties.extras).run),
        ("button", partial(_button, hardware.button(), start_over, panel)),
        ("clock floor", partial(_keep_time, paths, time)),
    ]
    return Station(
        paths=paths,
        device=device,
        conductor=conductor,
        governor=governor,
        board=board,
        intake=intake,
        front=front,
        start_over=start_over,
        technician=technician,
        services=services,
    )


def _live_wanted(conductor: Conductor, drain: Drains, governor: Governor, standing: bool) -> bool:
    """Whether the station's condition asks for the live connection; a standing one outlives a short fault."""
    if conductor.state not in (State.OPERATIONAL, State.UPDATING):
        return False
    if governor.judgement.level >= Level.OFFLINE:
        return False
    return standing or drain.progress().breaker.state is BreakerState.CLOSED


def _backup(configuration: Configuration) -> bool:
    """Whether the owner lets files go to the cloud."""
    return configuration.current.storage.backup_to_cloud


def _drains(
    store: Store,
    media: MediaStore,
    client: CloudClient,
    credentials: CredentialsFile,
    application: Application,
    policy: DrainPolicy,
    backup: Callable[[], bool],
    former: FormerOwners,
) -> Drains:
    """Events and files each on a way of their own, inside one limit of the cloud."""
    pace = Pace(client.time.system.monotonic)
    sender = partial(
        Delivery,
        client,
        store,
        media,
        lambda: credentials.current,
        application.uploaded,
        pace,
        backup=backup,
        former=former,
    )
    drains: Drains = Drains(
        store,
        express=sender(),
        bulk=sender(busy=lambda: drains.busy),
        clock=BufferClock(),
        random=random.random,
        policy=policy,
        media=media,
    )
    return drains


def _identity(paths: Paths, settings: Settings) -> tuple[DeviceKey, KeyStore, Fault | None]:
    """The key and its store, or a throw-away one with the fault that a technician must see.

    Raises `OSError`.
    """
    keys: KeyStore = FileKeys()
    try:
        keys = store_of(paths.identity, settings.identity.key_store, settings.identity.tpm)
        return load_or_create(paths.identity, keys), keys, None
    except KeyUnavailable as error:
        return ephemeral(), keys, Fault("HW-008", str(error))
    except KeyDamaged as error:
        return ephemeral(), keys, Fault("HW-006", str(error))


def _time_pins(settings: Settings, credentials: CredentialsFile) -> Mapping[str, Ed25519PublicKey]:
    """The keys that may sign the time: of the settings, and after the claim those of the cloud."""
    learned = credentials.current.time_keys if credentials.current is not None else []
    try:
        return public_keys([*pinned_in_settings(settings.cloud.time_keys), *learned])
    except ValueError as error:
        log.warning("a key that should sign the time is none: %s", error)
        return {}


def _roots(settings: Settings, credentials: CredentialsFile, journal: Journal) -> set[str]:
    """The roots that may vouch for a key: of the settings, of a claim code, and of the claim itself."""
    found = {settings.cloud.ca_pin, journal.record.ca_pin or ""}
    if credentials.current is not None:
        with contextlib.suppress(ValueError):
            found.add(pin_of_pem(credentials.current.ca_certificate))
    return found - {""}


def _took(application: Application, intakes: IntakeLog, accepted: Accepted) -> None:
    intakes.took(accepted)
    if not accepted.duplicate and not accepted.event_type.startswith("station_"):
        application.detected()


def _set_log_level(local: str, config: DeviceConfig) -> None:
    """The wordier of what the technician's settings and the cloud ask for."""
    asked = "DEBUG" if config.device.debug_mode else config.monitoring.log_level
    levels = (logging.getLevelNamesMapping()[name] for name in (local, asked))
    logging.getLogger("appliance").setLevel(min(levels))


def _follow_claim(conductor: Conductor, credentials: CredentialsFile) -> asyncio.Event:
    """Set for a station that belongs to someone, and after a claim once its configuration is in force."""
    claimed = asyncio.Event()

    def look(step: Transition | None) -> None:
        if credentials.current is not None and (step is None or step.target is State.OPERATIONAL):
            claimed.set()

    look(None)
    conductor.observe(look)
    return claimed


def _send_at_once(drain: Drains, step: Transition) -> None:
    """Who claims a released station need not wait until the uplink asks again whether anybody did."""
    if step.trigger is Trigger.ACTIVATED:
        drain.begin_anew()


async def _after(event: asyncio.Event, service: Service) -> None:
    await event.wait()
    await service()


async def _button(button: Button, start_over: StartOver, panel: Panel) -> None:
    async for press in button.presses():
        if press is Press.LONG:
            await start_over.ask()
        else:
            panel.locate()


async def _keep_time(paths: Paths, time: CloudTime) -> None:
    """Every ten minutes and at the end, so that the next start begins not long before now."""
    try:
        while True:
            await asyncio.sleep(KEEP_TIME_S)
            await asyncio.to_thread(_keep_known_time, paths.clock_floor, time)
    finally:
        with contextlib.suppress(OSError):  # a disk that fails now has its own notice
            _keep_known_time(paths.clock_floor, time)


def _keep_known_time(path: Path, time: CloudTime) -> None:
    """Only a time that a time server or a signature vouches for; a wrong one would stay for good."""
    if not keep_time(path, time.system) and (signed := time.signed()) is not None:
        keep_past(path, signed)
