"""What the station tells the cloud of its machine and its link: names, sizes, camera. Condition is elsewhere.

What cannot be read is null, never a failure and never invented.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from appliance import __version__
from appliance.network.port import Link
from appliance.settings import CameraSection
from appliance.uplink.claim import Hardware
from firmware.board import read_board
from firmware.fingerprint import Fingerprint, fingerprint, hardware_id
from firmware.sight import camera_models
from protocol.messages import CameraInfo, DeviceInfo, HardwareFingerprint, NetworkInfo

CAPABILITIES = ["events", "media", "spool", "ingest"]
_NOTHING_TOLD = CameraSection()
LONGEST = 200
"""What the cloud takes of a name."""


def look_at_hardware(
    boot_id: str,
    total_storage: int | None,
    camera: CameraSection = _NOTHING_TOLD,
    root: Path = Path("/"),
) -> Hardware:
    """The station's hardware as the cloud is told of it. Reads small files below /proc and /sys.

    `total_storage` in bytes. Raises `HardwareUnknown` for a machine that has no name at all.
    """
    board = read_board(root)
    return Hardware(
        hardware_id=str(hardware_id(board)),
        fingerprint=_fingerprint(fingerprint(board)),
        info=DeviceInfo(
            model=_name(board.model) or "unknown",
            firmware_version=__version__,
            hardware_revision=_name(board.revision),
            capabilities=CAPABILITIES,
            total_memory=board.memory_bytes,
            total_storage=total_storage,
            camera_info=_camera(camera, root),
        ),
        boot_id=boot_id,
    )


def storage(folder: Path) -> int | None:
    """The size in bytes of the file system that holds `folder`; None where it cannot be asked."""
    try:
        return int(psutil.disk_usage(str(folder)).total)
    except OSError:
        return None


def network_info(link: Link) -> NetworkInfo:
    """The link as the cloud is told of it."""
    return NetworkInfo(
        local_ip=link.address,
        mac_address=link.mac,
        connection_type=None if link.kind == "none" else link.kind,
        signal_strength=link.signal_dbm,
    )


def _camera(told: CameraSection, root: Path) -> CameraInfo | None:
    """What the settings say goes before what the kernel says; neither knows: None."""
    model = told.model or next(iter(camera_models(root)), None)
    if not model:
        return None
    return CameraInfo(
        model=model[:LONGEST], resolution=told.resolution or None, frame_rate=told.frame_rate or None
    )


def _name(text: str | None) -> str | None:
    return text[:LONGEST] if text else None


def _fingerprint(parts: Fingerprint) -> HardwareFingerprint:
    return HardwareFingerprint(
        cpu_id=parts.cpu_id,
        board_serial=parts.board_serial,
        mac_addresses=list(parts.mac_addresses),
        disk_uuid=parts.disk_uuid,
        hash=parts.digest(),
        fp_version=parts.version,
    )
