"""What each kind of machine says about itself."""

from pathlib import Path
from typing import Any

import pytest

from firmware.board import Board, read_board
from tests.firmware.boards import BOARDS, add_interface, pi_4, write

MIB = 1024 * 1024

EXPECTED: dict[str, dict[str, Any]] = {
    "pi_3": {
        "model": "Raspberry Pi 3 Model B Rev 1.2",
        "cpu_serial": "00000000d1e2f3a4",
        "board_serial": "00000000d1e2f3a4",
        "revision": "a02082",
        "memory_bytes": 948_304 * 1024,
        "mac_addresses": ("b8:27:eb:b7:a6:f1", "b8:27:eb:e2:f3:a4"),
        "disk_uuid": "4e639091",
        "hostname": "meteor",
    },
    "pi_zero_2": {
        "model": "Raspberry Pi Zero 2 W Rev 1.0",
        "cpu_serial": "00000000e1f2a3b4",
        "board_serial": "00000000e1f2a3b4",
        "revision": "902120",
        "memory_bytes": 437_584 * 1024,
        "mac_addresses": ("d8:3a:dd:0a:0b:0d",),
        "disk_uuid": "4e639091",
        "hostname": "meteor",
    },
    "pi_4": {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "cpu_serial": "100000004b5c6d7e",
        "board_serial": "100000004b5c6d7e",
        "revision": "c03114",
        "memory_bytes": 3_884_000 * 1024,
        "mac_addresses": ("dc:a6:32:0a:0b:0c", "dc:a6:32:0a:0b:0d"),
        "disk_uuid": "4e639091",
        "hostname": "meteor",
    },
    "pi_5": {
        "model": "Raspberry Pi 5 Model B Rev 1.0",
        "cpu_serial": "a1b2c3d4e5f60718",
        "board_serial": "a1b2c3d4e5f60718",
        "revision": "d04170",
        "memory_bytes": 8_256_000 * 1024,
        "mac_addresses": ("2c:cf:67:0a:0b:0c", "2c:cf:67:0a:0b:0d"),
        "disk_uuid": "0b9f6a3c-1d2e-4f50-8a61-7b8c9d0e1f2a",
        "hostname": "meteor",
    },
    "x86": {
        "model": "ACME Box N100",
        "cpu_serial": None,
        "board_serial": "AC-2024-00917",
        "revision": "V1.2",
        "memory_bytes": 16_123_456 * 1024,
        "mac_addresses": ("00:e0:4c:68:00:01",),
        "disk_uuid": "99999999-2222-4333-8444-555555555555",
        "hostname": "attic",
    },
    "container": {
        "model": None,
        "cpu_serial": None,
        "board_serial": None,
        "revision": None,
        "memory_bytes": 1 << 30,
        "mac_addresses": (),
        "disk_uuid": None,
        "machine_id": None,
        "hostname": "3f2a9c1b7d45",
    },
}


@pytest.mark.parametrize("name", BOARDS)
def test_a_machine_is_read_as_what_it_is(name: str, tmp_path: Path) -> None:
    BOARDS[name](tmp_path)
    board = read_board(tmp_path)
    assert {field: getattr(board, field) for field in EXPECTED[name]} == EXPECTED[name]


def test_an_empty_machine_gives_nothing_and_no_failure(tmp_path: Path) -> None:
    assert read_board(tmp_path) == Board()


@pytest.mark.parametrize("limit", ["max", "", "-1", "99999999999999999999", "9000000000000000"])
def test_a_container_without_a_limit_of_its_own_has_the_memory_of_its_host(
    limit: str, tmp_path: Path
) -> None:
    BOARDS["container"](tmp_path)
    write(tmp_path, {"sys/fs/cgroup/memory.max": limit})
    assert read_board(tmp_path).memory_bytes == 32_123_456 * 1024


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\xff\xfe\x00\x80" * 50, b"Serial\nSerial :\n: : :\n\n"])
def test_files_full_of_garbage_give_no_failure(garbage: bytes, tmp_path: Path) -> None:
    pi_4(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(garbage)
    board = read_board(tmp_path)
    assert (board.cpu_serial, board.memory_bytes, board.machine_id, board.addresses) == (None, None, None, ())


def test_a_file_that_may_not_be_read_is_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").mkdir()
    assert read_board(tmp_path).cpu_serial is None


@pytest.mark.parametrize(
    "serial",
    [
        "0000000000000000",
        "00000000",
        "ffffffffffffffff",
        "00000000ffffffff",
        "1111111111111111",
        "0123456789abcdef",
        "0123456789ABCDEF",
        "123456789abcdef0",
        "1234567890",
        "To be filled by O.E.M.",
        "Default string",
        "System Serial Number",
        "Not Specified",
        "None",
        "N/A",
        "xyz",
        "abc",
        "a1b2c3d4e5f607181",
    ],
)
def test_a_serial_that_its_maker_forgot_to_set_is_none(serial: str, tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": f"processor\t: 0\n\nSerial\t\t: {serial}\n"})
    assert read_board(tmp_path).cpu_serial is None


@pytest.mark.parametrize(
    ("serial", "read"),
    [
        ("10000000ABCDEF01", "10000000abcdef01"),
        ("d1e2f3a4", "00000000d1e2f3a4"),
        ("  a1b2c3d4e5f60718  ", "a1b2c3d4e5f60718"),
    ],
)
def test_a_serial_is_sixteen_digits_in_lower_case(serial: str, read: str, tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": f"Serial\t\t: {serial}\n"})
    assert read_board(tmp_path).cpu_serial == read


@pytest.mark.parametrize(
    ("case", "bus", "address", "assign_type", "kind", "radio", "permanent"),
    [
        ("burnt in", "pci", "00:e0:4c:00:00:09", 0, 1, None, True),
        ("random", "pci", "00:e0:4c:00:00:09", 1, 1, None, False),
        ("stolen from another interface", "pci", "00:e0:4c:00:00:09", 2, 1, None, False),
        ("set by software", "pci", "00:e0:4c:00:00:09", 3, 1, None, False),
        ("locally administered", "pci", "02:e0:4c:00:00:09", 0, 1, None, False),
        ("virtual", "virtual", "00:e0:4c:00:00:09", 0, 1, None, False),
        ("radio with its own address", "usb", "00:e0:4c:00:00:09", 0, 1, "00:e0:4c:00:00:09", True),
        ("simulated radio", "usb", "02:00:00:00:00:00", 0, 1, "02:00:00:00:00:00", False),
    ],
)
def test_an_address_is_permanent_only_if_the_hardware_came_with_it(
    case: str,
    bus: str,
    address: str,
    assign_type: int,
    kind: int,
    radio: str | None,
    permanent: bool,
    tmp_path: Path,
) -> None:
    add_interface(tmp_path, "net0", bus, address, assign_type, kind, radio)
    assert [each.permanent for each in read_board(tmp_path).addresses] == [permanent], case


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("00:00:00:00:00:00", 1),
        ("ff:ff:ff:ff:ff:ff", 1),
        ("", 1),
        ("nonsense", 1),
        ("00:e0:4c:00:00:09", 772),
    ],
)
def test_what_is_no_ethernet_address_is_left_out(address: str, kind: int, tmp_path: Path) -> None:
    add_interface(tmp_path, "net0", "pci", address, kind=kind)
    assert read_board(tmp_path).addresses == ()


def test_without_udev_the_disk_is_named_by_the_kernels_command_line(tmp_path: Path) -> None:
    pi_4(tmp_path)
    (tmp_path / "run/udev/data/b179:0").unlink()
    assert read_board(tmp_path).disk_uuid == "4e639091"


def test_the_disk_keeps_its_name_when_the_station_starts_from_its_other_partition(tmp_path: Path) -> None:
    pi_4(tmp_path)
    write(tmp_path, {"proc/cmdline": "root=PARTUUID=4e639091-03\n"})
    assert read_board(tmp_path).disk_uuid == "4e639091"


def test_without_either_the_file_system_names_the_disk(tmp_path: Path) -> None:
    pi_4(tmp_path)
    (tmp_path / "run/udev/data/b179:0").unlink()
    (tmp_path / "proc/cmdline").unlink()
    assert read_board(tmp_path).disk_uuid == "56f80fa2-e005-4cca-86e6-19da1069914d"


def test_the_machine_that_runs_this_test_can_be_read() -> None:
    board = read_board()
    assert board.memory_bytes is not None
    assert board.memory_bytes > 100 * MIB
