"""The bodies of claims, heartbeats and configuration, as msgspec structs. Events live in `protocol.event`.

Requests refuse unknown fields, so that a typing error is named; answers allow them, so that an older device
understands a newer cloud.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.envelope import Envelope
from protocol.limits import MAX_COUNT

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Text = Annotated[str, Meta(max_length=200)]
Pem = Annotated[str, Meta(min_length=1, max_length=8192)]
Identifier = Annotated[str, Meta(max_length=30, pattern=r"^[a-z]{3}_[0-9A-Z]{26}$")]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


FrameId = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)] | Annotated[str, Meta(max_length=200)]
"""What a frame of the WebSocket may be called by whoever sends it; the answer repeats it."""


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what is sent to the cloud."""


class Answer(msgspec.Struct, kw_only=True):
    """Base of what the cloud answers."""


class Location(Request):
    """Where a station stands: degrees (WGS 84), metres above mean sea level, accuracy radius in metres."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    altitude: Annotated[float, Meta(ge=-500, le=9000)] | None = None
    accuracy: Annotated[float, Meta(ge=0)] | None = None
    source: Literal["gps", "network", "manual"] = "manual"


class Clock(Request):
    """The quality of a device's clock: `source` is ntp, gps, rtc, server or none; `mono_ms` is since boot."""

    synced: bool
    source: Text
    utc: Text
    mono_ms: Count
    est_error_ms: Annotated[float, Meta(ge=0)] | None = None


class HardwareFingerprint(Request):
    """Parts that name the hardware. They are public data and prove nothing."""

    cpu_id: Text | None = None
    board_serial: Text | None = None
    mac_addresses: Annotated[list[Text], Meta(max_length=32)] = []
    disk_uuid: Text | None = None
    tpm_attestation: Annotated[str, Meta(max_length=16384)] | None = None
    tmp_attestation: Annotated[str, Meta(max_length=16384)] | None = None
    hash: Text | None = None
    fp_version: Count = 1


class CameraInfo(Request):
    """The camera, where one is known; `resolution` as `1920x1080`, `frame_rate` in frames per second."""

    model: Text
    resolution: Text | None = None
    frame_rate: Annotated[float, Meta(ge=0)] | None = None


class DeviceInfo(Request):
    """What the station is: memory and storage in bytes."""

    model: Text
    firmware_version: Text
    hardware_revision: Text | None = None
    capabilities: Annotated[list[Text], Meta(max_length=64)] = []
    total_memory: Count | None = None
    total_storage: Count | None = None
    camera_info: CameraInfo | None = None


class NetworkInfo(Request):
    """How the station is connected; `signal_strength` in dBm."""

    local_ip: Text | None = None
    mac_address: Text | None = None
    connection_type: Literal["wifi", "ethernet", "cellular"] | None = None
    signal_strength: float | None = None


# --- claims -------------------------------------------------------------------------------------------------


class ClaimTokenRequest(Request):
    """POST /devices/claim-token: a person asks for a token that a device may use once."""

    registration_type: Literal["qr_code", "pin_code", "qr_with_pin_fallback"] = "qr_with_pin_fallback"
    device_type: Text | None = None
    expires_in: Annotated[int, Meta(ge=1, le=86400)] = 300
    location: Location | None = None
    name: Name | None = None
    user_agent: Text | None = None
    ip_address: Text | None = None


class ClaimTokenAnswer(Answer):
    """The token is shown once; only its hash is stored.

    `fallback_pin` is null: a PIN counts only beside a short id, and a token claim has none.
    """

    claim_token: str
    claim_id: str
    expires_in: int
    expires_at: str
    fallback_pin: str | None
    qr_code_url: str
    qr_text: str
    websocket_url: str
    server_time: str


class ClaimRequest(Request):
    """POST /devices/claim: a device asks to become somebody's.

    With `claim_token` the claim was begun by a person (mode A); with `registration_type` "device_code" the
    device shows a card and a person comes (mode B).
    """

    hardware_id: Annotated[str, Meta(min_length=1, max_length=80)]
    hardware_fingerprint: HardwareFingerprint
    device_info: DeviceInfo
    csr: Pem
    boot_id: Text
    clock: Clock
    network_info: NetworkInfo = msgspec.field(default_factory=NetworkInfo)
    location: Location | None = None
    claim_token: Annotated[str, Meta(max_length=100)] | None = None
    registration_type: Literal["device_code"] | None = None
    pin: Annotated[str, Meta(max_length=6, pattern=r"^[0-9]{6}$")] | None = None
    link_secret: Annotated[str, Meta(max_length=22, pattern=r"^[A-Za-z0-9_-]{22}$")] | None = None
    key_storage: Literal["tpm2", "se", "file"] = "file"


class ClaimPending(Answer):
    """202: the device's claim waits for a person. Seconds."""

    claim_id: str
    status: str
    expires_in: int
    interval: int
    verification_uri: str
    server_time: str


class ApiEndpoints(Answer):
    """Absolute addresses that belong to one device."""

    events: str
    telemetry: str
    config: str
    heartbeat: str
    commands: str


class ConfigKey(Answer):
    """A public Ed25519 key that signs configurations; `x` is the raw key in base64url."""

    kid: str
    x: str


class ClaimComplete(Answer):
    """201: the claim is done. `private_key` is always null, because the key never leaves the device."""

    claim_id: str
    device_id: str
    device_name: str
    device_token: str
    device_certificate: str
    ca_certificate: str
    api_endpoints: ApiEndpoints
    initial_config: dict[str, Any]
    config_envelope: Envelope
    config_keys: list[ConfigKey]
    epoch: int
    renew_after: str
    certificate_not_after: str
    server_time: str
    private_key: None = None
    short_id: str = ""
    time_keys: list[ConfigKey] = []
    registration_complete: bool = True


ClaimState = Literal["pending", "scanning", "claiming", "success", "expired"]


class ClaimStatus(Answer):
    """GET /devices/claim-status/:claim_id. `progress` goes from 0 to 100 and never back."""

    claim_id: str
    status: ClaimState
    progress: int
    expires_at: str
    interval: int
    server_time: str
    device_id: str | None = None
    device_name: str | None = None
    error: str | None = None
    error_code: str | None = None


class InitiateRequest(Request):
    """POST /devices/register/initiate: a person names the device that is theirs.

    Without any code it opens a claim for a token. With `short_id` and `pin` or `link_secret` it binds the
    waiting device, or opens an expectation when the device has not come yet.
    """

    action: Literal["approve", "deny"] = "approve"
    short_id: Annotated[str, Meta(max_length=40)] | None = None
    pin: Annotated[str, Meta(max_length=20)] | None = None
    link_secret: Annotated[str, Meta(max_length=40)] | None = None
    claim_id: Identifier | None = None
    name: Name | None = None
    location: Location | None = None


class InitiateAnswer(Answer):
    """`registrationToken` is only there for a claim that was opened without a code."""

    claim_id: str
    registrationToken: str | None
    deviceId: None
    expiresAt: str
    validationEndpoint: str
    localConfig: dict[str, Any]
    server_time: str


class ValidateRequest(Request):
    """POST /devices/register/validate: the device asks whether a person has come."""

    claim_id: Identifier


class Pending(Answer):
    """202: nobody has come yet; ask again after `interval` seconds."""

    status: Literal["authorization_pending"]
    interval: int
    server_time: str


class Challenge(Answer):
    """A nonce that must come back signed, once, within `expires_in` seconds."""

    id: str
    nonce: str
    expires_in: int


class ValidateAnswer(Answer):
    """200: a person has come."""

    claim_id: str
    challenge: Challenge
    server_time: str


class ConfirmRequest(Request):
    """POST /devices/register/confirm: the signed answer to the challenge."""

    claim_id: Identifier
    challenge_id: Text
    nonce: Text
    csr: Pem


# --- heartbeat ----------------------------------------------------------------------------------------------


class MemoryUsage(Request):
    """Bytes."""

    total: Count | None = None
    used: Count | None = None
    free: Count | None = None
    cached: Count | None = None


class CpuUsage(Request):
    """Per cent of the time since the last heartbeat; load averages over 1, 5 and 15 minutes; °C."""

    user: float | None = None
    system: float | None = None
    idle: float | None = None
    load_average: Annotated[list[float], Meta(max_length=3)] = []
    temperature: float | None = None


class DiskUsage(Request):
    """Bytes on the file system of the buffer."""

    total: Count | None = None
    used: Count | None = None
    free: Count | None = None


class NetworkQuality(Request):
    """dBm, ms, Mbit/s and a fraction from 0 to 1."""

    signal_strength: float | None = None
    latency: float | None = None
    throughput: float | None = None
    packet_loss: float | None = None


class Degradation(Request):
    """How much the station holds back: 1 nothing, 2 uploads bundled, 3 local only, 4 raw data only.

    `reason` is empty, network, connection, disk or battery.
    """

    level: Annotated[int, Meta(ge=1, le=4)] = 1
    reason: Text = ""


class CameraStatus(Request):
    """The camera program's state, where it is known."""

    connected: bool | None = None
    recording: bool | None = None
    last_frame_time: Text | None = None
    error: Text | None = None


class ErrorCounts(Request):
    """Since the start of the program. `collector_overruns`: telemetry that took too long to gather."""

    camera_errors: Count = 0
    network_errors: Count = 0
    storage_errors: Count = 0
    detection_errors: Count = 0
    collector_overruns: Count = 0


class Metrics(Request):
    """Counts of the current UTC day; latency in ms; MB of the buffer and its media."""

    events_detected_today: Count | None = None
    events_uploaded_today: Count | None = None
    average_detection_latency: float | None = None
    storage_usage_mb: float | None = None


class Backlog(Request):
    """What waits to be sent in one priority: messages, bytes, age of the oldest in seconds."""

    count: Count = 0
    bytes: Count = 0
    oldest_s: float | None = None


class BufferState(Request):
    """The whole buffer, by priority name. `uploading`: something got through since the heartbeat before.
    Events and files have a breaker each: `breaker` and `files_breaker`.

    `delivered`, `openings` and `probes` only grow: messages delivered, and what the breaker did.
    """

    critical: Backlog = msgspec.field(default_factory=Backlog)
    high: Backlog = msgspec.field(default_factory=Backlog)
    normal: Backlog = msgspec.field(default_factory=Backlog)
    low: Backlog = msgspec.field(default_factory=Backlog)
    dead: Count = 0
    evicted: Count = 0
    expired: Count = 0
    breaker: Text = "closed"
    files_breaker: Text = "closed"
    last_upload: Text | None = None
    uploading: bool = False
    delivered: Count = 0
    openings: Count = 0
    probes: Count = 0


class CommandAck(Request):
    """What became of a command."""

    id: Text
    state: Literal["IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED"]
    detail: Annotated[str, Meta(max_length=4096)] | None = None


class HeartbeatRequest(Request):
    """POST /devices/:id/heartbeat. Unknown values are null, never invented. `uptime` in seconds.

    `device_info` comes with the first heartbeats of a start, until one was answered.
    """

    uptime: Annotated[float, Meta(ge=0)]
    boot_id: Text
    seq: Count
    state: Text
    memory_usage: MemoryUsage = msgspec.field(default_factory=MemoryUsage)
    cpu_usage: CpuUsage = msgspec.field(default_factory=CpuUsage)
    disk_usage: DiskUsage = msgspec.field(default_factory=DiskUsage)
    network_quality: NetworkQuality = msgspec.field(default_factory=NetworkQuality)
    camera_status: CameraStatus = msgspec.field(default_factory=CameraStatus)
    location: Location | None = None
    error_count: ErrorCounts = msgspec.field(default_factory=ErrorCounts)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    buffer: BufferState = msgspec.field(default_factory=BufferState)
    degradation: Degradation = msgspec.field(default_factory=Degradation)
    network_info: NetworkInfo = msgspec.field(default_factory=NetworkInfo)
    device_info: DeviceInfo | None = None
    clock: Clock | None = None
    config_version: Count = 0
    config_error: Text | None = None
    firmware_version: Text | None = None
    certificate_alert: Text | None = None
    command_acks: Annotated[list[CommandAck], Meta(max_length=100)] = []


class Command(Answer):
    """An order for the device; `timeout` in seconds."""

    id: str
    type: str
    parameters: dict[str, Any]
    timeout: int
    priority: Literal["low", "normal", "high", "critical"]


class ConfigUpdates(Answer):
    """A newer configuration. The device trusts only the envelope in `signature`."""

    version: int
    updates: dict[str, Any]
    signature: Envelope


class Recommendation(Answer):
    """Advice for the owner."""

    type: Literal["performance", "security", "maintenance"]
    message: str
    action: str | None = None


class HeartbeatAnswer(Answer):
    """`next_heartbeat_in` (seconds) is the cloud's load valve, and obeyed. `backlog_spread` (seconds) is the
    time over which stations come back with their backlog after the cloud was away."""

    status: Literal["ok", "warning", "error"]
    server_time: str
    next_heartbeat_in: int
    backlog_spread: Annotated[float, Meta(ge=0)] | None = None
    device_name: str | None = None
    commands: list[Command] = []
    config_updates: ConfigUpdates | None = None
    warnings: list[str] = []
    recommendations: list[Recommendation] = []


class ConfigAnswer(Answer):
    """GET /devices/config/:id."""

    version: int
    config: dict[str, Any]
    config_envelope: Envelope
    server_time: str
