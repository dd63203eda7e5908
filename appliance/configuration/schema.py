"""The configuration that the cloud may set: seven sections, each value with its range and default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Base of one section. Unknown keys of a newer cloud are ignored, wrong values are refused."""


class DeviceTable(Table, frozen=True):
    """Who and where the station is."""

    device_id: str | None = None
    name: Annotated[str, Meta(max_length=80)] = ""
    timezone: str = "UTC"
    location: dict[str, Any] | None = None
    auto_update: bool = True
    debug_mode: bool = False


class NetworkTable(Table, frozen=True):
    """Times in seconds."""

    connection_timeout: Annotated[int, Meta(ge=1, le=600)] = 30
    retry_attempts: Annotated[int, Meta(ge=0, le=100)] = 5
    health_check_interval: Annotated[int, Meta(ge=5, le=3600)] = 30


class CameraTable(Table, frozen=True):
    """Handed on to the camera program."""

    device_path: str = ""
    resolution: str = ""
    frame_rate: Count = 25
    auto_exposure: bool = True
    gain: float | None = None
    flip_horizontal: bool = False
    flip_vertical: bool = False
    roi: dict[str, int] | None = None


class DetectionTable(Table, frozen=True):
    """Times in milliseconds."""

    enabled: bool = True
    algorithms: list[dict[str, Any]] = []
    sensitivity: Fraction = 0.5
    min_duration_ms: Count = 100
    max_duration_ms: Count = 10_000
    cool_down_period_ms: Count = 1_000
    consensus_threshold: Fraction = 0.5


class StorageTable(Table, frozen=True):
    """What the station keeps."""

    base_path: str = ""
    max_storage_gb: Annotated[float, Meta(gt=0)] = 8.0
    retention_days: Count = 30
    auto_cleanup: bool = True
    compression_enabled: bool = True
    backup_to_cloud: bool = True


class MonitoringTable(Table, frozen=True):
    """How often the station reports, and how much it logs."""

    heartbeat_interval_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    telemetry_interval_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    log_level: Literal["DEBUG", "INFO", "WARN", "WARNING", "ERROR"] = "INFO"
    metrics_retention_hours: Count = 72
    performance_profiling: bool = False
    error_reporting: bool = True


class SecurityTable(Table, frozen=True):
    """What the station checks."""

    verify_server_certificate: bool = True
    request_signing_enabled: bool = True


class DeviceConfig(Table, frozen=True):
    """All seven sections."""

    device: DeviceTable = DeviceTable()
    network: NetworkTable = NetworkTable()
    camera: CameraTable = CameraTable()
    detection: DetectionTable = DetectionTable()
    storage: StorageTable = StorageTable()
    monitoring: MonitoringTable = MonitoringTable()
    security: SecurityTable = SecurityTable()
