"""What the cloud is told of a machine: each kind of board, a link of each kind, and what is not known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance import __version__
from appliance.about import look_at_hardware, network_info, storage
from appliance.network.port import NO_LINK, Link
from appliance.settings import CameraSection
from firmware.errors import HardwareUnknown
from protocol.messages import CameraInfo, DeviceInfo, NetworkInfo
from tests.firmware.boards import BOARDS, write

KIB, GIB = 1024, 1 << 30

MACHINES = {
    "pi_3": ("Raspberry Pi 3 Model B Rev 1.2", "a02082", 948_304 * KIB, None),
    "pi_zero_2": ("Raspberry Pi Zero 2 W Rev 1.0", "902120", 437_584 * KIB, "imx290"),
    "pi_4": ("Raspberry Pi 4 Model B Rev 1.4", "c03114", 3_884_000 * KIB, "HD Pro Webcam C920"),
    "pi_5": ("Raspberry Pi 5 Model B Rev 1.0", "d04170", 8_256_000 * KIB, "imx708"),
    "x86": ("ACME Box N100", "V1.2", 16_123_456 * KIB, "UVC Camera (046d:0825)"),
    "container": ("unknown", None, GIB, None),
}


@pytest.mark.parametrize("machine", BOARDS)
def test_the_cloud_is_told_of_each_kind_of_machine(machine: str, tmp_path: Path) -> None:
    BOARDS[machine](tmp_path)
    model, revision, memory, camera = MACHINES[machine]
    info = look_at_hardware("boot", 32 * GIB, root=tmp_path).info
    assert info == DeviceInfo(
        model=model,
        firmware_version=__version__,
        hardware_revision=revision,
        capabilities=["events", "media", "spool", "ingest"],
        total_memory=memory,
        total_storage=32 * GIB,
        camera_info=CameraInfo(model=camera) if camera else None,
    )
    assert msgspec.json.decode(msgspec.json.encode(info), type=DeviceInfo) == info


@pytest.mark.parametrize("machine", BOARDS)
def test_what_cannot_be_read_is_null_and_no_failure(machine: str, tmp_path: Path) -> None:
    BOARDS[machine](tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink() and "net" not in path.parts and path.name != "hostname":
            path.write_bytes(b"\xff\0" * 900)
    info = look_at_hardware("boot", None, root=tmp_path).info
    assert (info.total_memory, info.total_storage) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(info), type=DeviceInfo) == info


def test_a_machine_without_any_name_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(HardwareUnknown):
        look_at_hardware("boot", None, root=tmp_path)


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (CameraSection(model="Dome"), CameraInfo(model="Dome")),
        (
            CameraSection(resolution="1920x1080", frame_rate=25),
            CameraInfo(model="imx708", resolution="1920x1080", frame_rate=25),
        ),
    ],
)
def test_what_the_settings_say_of_the_camera_counts(
    told: CameraSection, known: CameraInfo, tmp_path: Path
) -> None:
    BOARDS["pi_5"](tmp_path)
    assert look_at_hardware("boot", None, told, tmp_path).info.camera_info == known


def test_a_resolution_without_a_camera_is_no_camera(tmp_path: Path) -> None:
    BOARDS["pi_3"](tmp_path)
    told = CameraSection(resolution="1920x1080")
    assert look_at_hardware("boot", None, told, tmp_path).info.camera_info is None


def test_names_longer_than_the_cloud_takes_are_cut(tmp_path: Path) -> None:
    BOARDS["pi_5"](tmp_path)
    write(tmp_path, {"proc/device-tree/model": "x" * 900})
    assert look_at_hardware("boot", None, root=tmp_path).info.model == "x" * 200


def test_the_storage_of_a_folder_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    assert storage(tmp_path / "nothing") is None
    assert (storage(tmp_path) or 0) > 0


@pytest.mark.parametrize(
    ("link", "told"),
    [
        (NO_LINK, NetworkInfo()),
        (
            Link("wifi", b"Roof", "192.0.2.5", "b8:27:eb:00:00:01", 80, -60.0, online=True),
            NetworkInfo(
                local_ip="192.0.2.5",
                mac_address="b8:27:eb:00:00:01",
                connection_type="wifi",
                signal_strength=-60.0,
            ),
        ),
        (
            Link("ethernet", address="192.0.2.6", mac="b8:27:eb:00:00:02"),
            NetworkInfo(local_ip="192.0.2.6", mac_address="b8:27:eb:00:00:02", connection_type="ethernet"),
        ),
        (
            Link("cellular", address="192.0.2.7"),
            NetworkInfo(local_ip="192.0.2.7", connection_type="cellular"),
        ),
    ],
)
def test_the_cloud_is_told_of_each_kind_of_link(link: Link, told: NetworkInfo) -> None:
    assert network_info(link) == told
