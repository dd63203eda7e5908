"""The machine's names: where they come from, what changes them and what does not."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.board import Board, NetworkAddress, read_board
from firmware.errors import HardwareUnknown, HardwareUnreadable
from firmware.fingerprint import Fingerprint, IdSource, fingerprint, hardware_id
from tests.firmware.boards import BOARDS, add_interface, container, pi_4, write, x86

WHOLE = Fingerprint(
    cpu_id="100000004b5c6d7e",
    board_serial="B-1",
    mac_addresses=("dc:a6:32:0a:0b:0c", "dc:a6:32:0a:0b:0d"),
    disk_uuid="4e639091",
    tpm_attestation="quote",
)


@pytest.mark.parametrize(
    ("name", "value", "source"),
    [
        ("pi_3", "CPU_00000000d1e2f3a4", IdSource.CPU_SERIAL),
        ("pi_4", "CPU_100000004b5c6d7e", IdSource.CPU_SERIAL),
        ("pi_5", "CPU_a1b2c3d4e5f60718", IdSource.CPU_SERIAL),
        ("x86", "MID_28a6a9f572ac06a8", IdSource.MACHINE_ID),
        ("container", "HOST_2d17737834cb24f7", IdSource.HOSTNAME_AND_MAC),
    ],
)
def test_a_machine_is_named_by_the_best_it_has(
    name: str, value: str, source: IdSource, tmp_path: Path
) -> None:
    BOARDS[name](tmp_path)
    found = hardware_id(read_board(tmp_path))
    assert (str(found), found.source) == (value, source)


@pytest.mark.parametrize("serial", ["0000000000000000", "ffffffffffffffff", "0123456789abcdef"])
def test_a_worthless_cpu_serial_gives_way_to_the_machine_id(serial: str, tmp_path: Path) -> None:
    x86(tmp_path)
    write(tmp_path, {"proc/cpuinfo": f"Serial : {serial}\n"})
    assert hardware_id(read_board(tmp_path)).source is IdSource.MACHINE_ID


@pytest.mark.parametrize("machine_id", ["", "uninitialized\n", "0" * 32, "not hexadecimal at all, is it?!!"])
def test_a_worthless_machine_id_gives_way_to_hostname_and_address(machine_id: str, tmp_path: Path) -> None:
    x86(tmp_path)
    write(tmp_path, {"etc/machine-id": machine_id})
    assert hardware_id(read_board(tmp_path)).source is IdSource.HOSTNAME_AND_MAC


def test_the_machine_id_itself_never_leaves_the_machine(tmp_path: Path) -> None:
    x86(tmp_path)
    board = read_board(tmp_path)
    assert board.machine_id is not None
    assert board.machine_id[:8] not in str(hardware_id(board))


def test_a_machine_with_nothing_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HardwareUnknown) as refusal:
        hardware_id(replace(read_board(tmp_path), hostname="localhost"))
    assert refusal.value.code == "HW-004"


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Files put into it refuse to be opened, for root too."""
    refused: set[Path] = set()
    plain = Path.open

    def opened(path: Path, *how: Any, **more: Any) -> Any:
        if path in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, *how, **more)

    monkeypatch.setattr(Path, "open", opened)
    return refused


def test_a_processor_that_may_not_be_read_is_refused_and_not_left_out(
    tmp_path: Path, closed: set[Path]
) -> None:
    pi_4(tmp_path)
    closed.add(tmp_path / "proc/cpuinfo")
    board = read_board(tmp_path)
    for name in (hardware_id, fingerprint):
        with pytest.raises(HardwareUnreadable, match="/proc/cpuinfo cannot be read") as refusal:
            name(board)
        assert (refusal.value.code, "read" in refusal.value.action) == ("HW-007", True)


def test_a_machine_id_that_may_not_be_read_is_refused_where_it_would_be_the_name(
    tmp_path: Path, closed: set[Path]
) -> None:
    pi_4(tmp_path)
    closed.add(tmp_path / "etc/machine-id")
    board = read_board(tmp_path)
    assert hardware_id(board).source is IdSource.CPU_SERIAL, "it is not needed here"
    with pytest.raises(HardwareUnreadable, match="/etc/machine-id cannot be read"):
        hardware_id(replace(board, cpu_serial=None))


def test_files_that_are_missing_are_not_closed(tmp_path: Path) -> None:
    assert read_board(tmp_path).closed == ()


def test_the_fingerprint_of_a_known_machine_never_changes(tmp_path: Path) -> None:
    pi_4(tmp_path)
    digests = {fingerprint(read_board(tmp_path)).digest() for _ in range(100)}
    assert digests == {"cc33d5a0f94fafefa70998080841d3dfec7d70faafc188766f987fb25fe2d294"}


def test_the_layout_of_the_hashed_bytes_is_fixed() -> None:
    # written out by hand: name, version 1, then count and lengths before every part
    text = (
        b"meteor-fingerprint\0\0\0\x01"
        b"\0\0\0\x01\0\0\0\x02c1"
        b"\0\0\0\0"
        b"\0\0\0\x02\0\0\0\x02m1\0\0\0\x02m2"
        b"\0\0\0\x01\0\0\0\x02d1"
        b"\0\0\0\0"
    )
    made = Fingerprint(cpu_id="c1", board_serial=None, mac_addresses=("m2", "m1"), disk_uuid="d1")
    assert made.digest() == hashlib.sha256(text).hexdigest()


def test_the_order_of_the_interfaces_means_nothing(tmp_path: Path) -> None:
    addresses = [("00:e0:4c:00:00:01", "a0"), ("00:e0:4c:00:00:02", "b0"), ("00:e0:4c:00:00:03", "c0")]
    digests = set()
    for turn in range(3):
        root = tmp_path / str(turn)
        root.mkdir()
        for place, (address, _) in enumerate(addresses):
            add_interface(root, addresses[(place + turn) % 3][1], "pci", address)
        digests.add(fingerprint(read_board(root)).digest())
    assert len(digests) == 1


def test_a_radio_that_scans_with_a_random_address_changes_nothing(tmp_path: Path) -> None:
    pi_4(tmp_path)
    before = fingerprint(read_board(tmp_path)).digest()
    radio = tmp_path / "sys/class/net/wlan0"
    (radio / "address").write_text("da:99:88:77:66:55\n")
    assert fingerprint(read_board(tmp_path)).digest() == before
    (radio / "address").write_text("dc:a6:32:0a:0b:0d\n")
    (radio / "addr_assign_type").write_text("0\n")
    assert fingerprint(read_board(tmp_path)).digest() == before


def test_a_virtual_interface_changes_nothing(tmp_path: Path) -> None:
    pi_4(tmp_path)
    before = fingerprint(read_board(tmp_path)).digest()
    add_interface(tmp_path, "br0", "virtual", "dc:a6:32:0a:0b:99")
    assert fingerprint(read_board(tmp_path)).digest() == before


@pytest.mark.parametrize(
    "changed",
    [
        replace(WHOLE, cpu_id="100000004b5c6d7f"),
        replace(WHOLE, board_serial="B-2"),
        replace(WHOLE, mac_addresses=("dc:a6:32:0a:0b:0c",)),
        replace(WHOLE, mac_addresses=("dc:a6:32:0a:0b:0c", "dc:a6:32:0a:0b:0e")),
        replace(WHOLE, disk_uuid="4e639092"),
        replace(WHOLE, tpm_attestation="other"),
        replace(WHOLE, version=2),
        replace(WHOLE, cpu_id=None),
        replace(WHOLE, board_serial=None),
        replace(WHOLE, mac_addresses=()),
        replace(WHOLE, disk_uuid=None),
        replace(WHOLE, tpm_attestation=None),
        replace(WHOLE, board_serial=""),
        replace(WHOLE, cpu_id="B-1", board_serial="100000004b5c6d7e"),
        replace(WHOLE, cpu_id="100000004b5c6d7eB", board_serial="-1"),
    ],
)
def test_one_changed_part_changes_the_fingerprint(changed: Fingerprint) -> None:
    assert changed.digest() != WHOLE.digest()


optional = st.none() | st.text("ab\0", max_size=3)
prints = st.builds(
    Fingerprint,
    optional,
    optional,
    st.lists(st.text("ab", max_size=2), max_size=3).map(tuple),
    optional,
    optional,
)


@given(prints, prints)
def test_two_fingerprints_are_equal_only_if_every_part_is(one: Fingerprint, other: Fingerprint) -> None:
    same = replace(one, mac_addresses=tuple(sorted(one.mac_addresses))) == replace(
        other, mac_addresses=tuple(sorted(other.mac_addresses))
    )
    assert (one.digest() == other.digest()) == same


@pytest.mark.parametrize(
    ("name", "parts"), [("pi_3", 4), ("pi_4", 4), ("pi_5", 4), ("x86", 3), ("container", 0)]
)
def test_a_fingerprint_knows_how_much_it_is_worth(name: str, parts: int, tmp_path: Path) -> None:
    BOARDS[name](tmp_path)
    assert fingerprint(read_board(tmp_path)).known_parts == parts


def test_without_a_tpm_there_is_no_attestation(tmp_path: Path) -> None:
    pi_4(tmp_path)
    assert fingerprint(read_board(tmp_path)).tpm_attestation is None


def test_a_container_takes_even_a_passing_address_for_its_name(tmp_path: Path) -> None:
    container(tmp_path)
    board = read_board(tmp_path)
    other = replace(board, addresses=(NetworkAddress("eth0", "02:42:ac:11:00:03", False),))
    assert board.addresses[0].permanent is False
    assert str(hardware_id(board)) != str(hardware_id(other))


def test_every_name_fits_one_form() -> None:
    boards = [
        Board(cpu_serial="100000004b5c6d7e"),
        Board(machine_id="0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        Board(hostname="h", addresses=(NetworkAddress("eth0", "00:e0:4c:00:00:01", True),)),
    ]
    for board in boards:
        prefix, digits = str(hardware_id(board)).split("_")
        assert prefix in {"CPU", "MID", "HOST"}
        assert len(digits) == 16
        assert int(digits, 16) > 0
