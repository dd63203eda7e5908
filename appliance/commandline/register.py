"""`register`: claims the station with a token from its owner's account, with or without a running station."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic

import aiohttp

from appliance import hardware
from appliance.about import look_at_hardware, network_info, storage
from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.files import private_folder
from appliance.identity.credentials import Credentials, CredentialsFile, from_claim
from appliance.identity.keys import KeyDamaged, load_or_create
from appliance.identity.nonces import Nonces
from appliance.identity.stores import store_of
from appliance.network.host import default_link
from appliance.paths import Paths
from appliance.recognised import WRONG_CLOUD_ACTION
from appliance.settings import Settings, address_problem
from appliance.uplink.claim import Claiming
from appliance.uplink.client import CloudClient, Refused, Unreachable, trust
from appliance.uplink.first_time import FirstTime, pinned_in_settings, time_address
from appliance.uplink.time import CloudTime
from appliance.uplink.vouched import CODE, WrongCloud
from firmware.clock import keep_past
from protocol.codes import ClaimCode, CodeRefused, parse_claim_code
from protocol.messages import ClaimPending
from protocol.timestamp import public_keys

WAIT_S = 120.0
_TRIES_S = (2.0, 4.0, 8.0)


async def register(settings: Settings, token: str, api_url: str | None) -> str:
    """Claims the station; the sentence to print. Raises `CommandFailed`."""
    try:
        code = parse_claim_code(token)
    except CodeRefused as error:
        raise CommandFailed(Exit.REFUSED, f"REG-004 {error.reason}") from None
    try:
        status, answer = await call(
            settings.control_socket, "POST", "/register", json={"token": code.text, "api_url": api_url}
        )
    except NotRunning:
        return await _alone(settings, code, api_url)
    if status != 202:
        raise CommandFailed(Exit.REFUSED, f"{answer['code']} {answer['detail']}")
    return await _watch(settings)


async def _watch(settings: Settings) -> str:
    """Until the running station is claimed, or says why not."""
    deadline = monotonic() + WAIT_S
    while monotonic() < deadline:
        await asyncio.sleep(0.5)
        try:
            _, facts = await call(settings.control_socket, "GET", "/status")
        except NotRunning:
            hint = "It keeps the code. Start it with `meteor-appliance run`."
            raise CommandFailed(Exit.UNREACHABLE, "The station was stopped.", hint) from None
        if facts["claimed"]:
            return f"This station is registered as {facts['station_name']}."
        failed = [each for each in facts["warnings"] if each["code"].startswith("REG-00")]
        if wrong := [each for each in facts["warnings"] if each["code"] == CODE]:
            raise CommandFailed(Exit.REFUSED, f"{CODE} {wrong[0]['sentence']}", wrong[0]["action"])
        if facts["state"] == "network_ready" and failed and failed[0]["code"] != "REG-005":
            raise CommandFailed(Exit.REFUSED, f"{failed[0]['code']} {failed[0]['sentence']}")
    hint = "The station keeps the code and uses it as soon as it is online. See `meteor-appliance status`."
    raise CommandFailed(Exit.UNREACHABLE, "The station is not online yet.", hint)


async def _alone(settings: Settings, code: ClaimCode, api_url: str | None) -> str:
    """The claim without a running station, over the operating system's network."""
    paths = Paths(settings.data_dir)
    try:
        private_folder(paths.state)
        credentials = CredentialsFile(paths.identity)
        keys = store_of(paths.identity, settings.identity.key_store, settings.identity.tpm)
        key = load_or_create(paths.identity, keys)
    except KeyDamaged as error:
        raise CommandFailed(Exit.FAILED, str(error)) from None
    except OSError as error:
        hint = "Run it as the user of the station, or choose another --data-dir."
        raise CommandFailed(Exit.PERMISSION, f"{paths.data}: {error.strerror}.", hint) from None
    if credentials.current is not None:
        known = credentials.current
        hint = "`meteor-appliance reset` makes it a new station."
        raise CommandFailed(Exit.REFUSED, f"REG-003 This station is registered as {known.name}.", hint)
    url = api_url or settings.cloud.url
    if problem := address_problem(url, allow_plain_http=settings.cloud.allow_plain_http):
        raise CommandFailed(Exit.USAGE, f"--api-url: {problem}")
    clock = hardware.clock(paths)
    time = CloudTime(clock)
    client = CloudClient(
        url,
        key,
        Nonces(paths.state),
        time,
        aiohttp.TCPConnector,
        trust(settings.cloud.ca_certificate, url, time=time),
    )
    client.before_request = FirstTime(
        time,
        time_address(url, settings.cloud.time_url),
        lambda: public_keys(pinned_in_settings(settings.cloud.time_keys)),
        aiohttp.TCPConnector,
        partial(keep_past, paths.clock_floor),
        lambda: {settings.cloud.ca_pin, code.ca_pin or ""} - {""},
    ).ensure
    try:
        about = look_at_hardware(clock.boot_id, storage(paths.data), settings.camera)
        claiming = Claiming(client, about, settings.cloud.ca_pin)
        kept = await _claim(claiming, code, url)
    finally:
        await client.close()
    credentials.keep(kept)
    return f"This station is registered as {kept.name}. Start it with `meteor-appliance run`."


async def _claim(claiming: Claiming, code: ClaimCode, url: str) -> Credentials:
    """Three more tries while the cloud cannot be reached; a refusal is final."""
    network = network_info(default_link())
    tries = iter(_TRIES_S)
    while True:
        try:
            answer = await claiming.with_token(code.token, network, code.ca_pin)
            if isinstance(answer, ClaimPending):
                hint = "Answer the question in your account, then run the command again with the same code."
                told = "Your account asks whether this is a new card of a station that you have."
                raise CommandFailed(Exit.WAITING, told, hint)
            return from_claim(answer, url)
        except WrongCloud as refusal:
            raise CommandFailed(Exit.REFUSED, str(refusal), WRONG_CLOUD_ACTION) from None
        except Refused as refusal:
            raise CommandFailed(Exit.REFUSED, str(refusal), "Ask your account for a new code.") from None
        except Unreachable as error:
            pause = next(tries, None)
            if pause is None:
                hint = f"Check the address {url} and the connection with `meteor-appliance health`."
                raise CommandFailed(Exit.UNREACHABLE, f"REG-005 {error}", hint) from None
            await asyncio.sleep(pause)
