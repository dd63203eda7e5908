"""The machine's names: a hardware id that people can read and a fingerprint that the cloud compares.

Both are names, never proofs: anyone can copy them, and who a device is stands in its key. They let the cloud
notice that a known machine came back with a new card, or that one identity appears on two machines.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import StrEnum

from firmware.board import CPUINFO, MACHINE_ID, Board
from firmware.errors import HardwareUnknown, HardwareUnreadable

FINGERPRINT_VERSION = 1

_PURPOSE = b"meteor-appliance hardware id"


class IdSource(StrEnum):
    """Where a hardware id comes from, best first."""

    CPU_SERIAL = "cpu_serial"
    MACHINE_ID = "machine_id"
    HOSTNAME_AND_MAC = "hostname_and_mac"


@dataclass(frozen=True, slots=True)
class HardwareId:
    """The machine's readable name: `CPU_`, `MID_` or `HOST_` for its source, and 16 hexadecimal digits."""

    value: str
    source: IdSource

    def __str__(self) -> str:
        return self.value


def hardware_id(board: Board) -> HardwareId:
    """The best name that `board` offers; raise `HardwareUnknown` if it offers none.

    Raises `HardwareUnreadable` when a better one is there and may not be read: the next best would be the
    name of another machine, today or on the day when the file can be read again.

    A machine-id is confidential (machine-id(5)), so only a keyed hash of it leaves the machine.
    """
    if board.cpu_serial:
        return HardwareId(f"CPU_{board.cpu_serial}", IdSource.CPU_SERIAL)
    _require_open(board, CPUINFO)
    if board.machine_id:
        hashed = hmac.new(bytes.fromhex(board.machine_id), _PURPOSE, hashlib.sha256).hexdigest()
        return HardwareId(f"MID_{hashed[:16]}", IdSource.MACHINE_ID)
    _require_open(board, MACHINE_ID)
    address = _any_address(board)
    if board.hostname and address:
        hashed = hashlib.sha256(_items(board.hostname, address)).hexdigest()
        return HardwareId(f"HOST_{hashed[:16]}", IdSource.HOSTNAME_AND_MAC)
    raise HardwareUnknown("This machine has no CPU serial, no machine-id and no network address of its own.")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The parts that make a machine itself. A part that it lacks is None or empty."""

    cpu_id: str | None
    board_serial: str | None
    mac_addresses: tuple[str, ...]
    disk_uuid: str | None
    tpm_attestation: str | None = None
    version: int = FINGERPRINT_VERSION

    @property
    def known_parts(self) -> int:
        """How many kinds of parts are known, 0 to 5. With none, as in a container, the hash tells nothing."""
        single = (self.cpu_id, self.board_serial, self.disk_uuid, self.tpm_attestation)
        return sum(part is not None for part in single) + bool(self.mac_addresses)

    def digest(self) -> str:
        """SHA-256 in hexadecimal over the version and the parts in fixed order.

        Each part is preceded by the number of its values and each value by its length in bytes, both as
        32-bit big-endian numbers; the addresses are sorted. So nothing can move from one part into the next
        without changing the hash, and the order of the interfaces means nothing.
        """
        hashed = hashlib.sha256(b"meteor-fingerprint")
        hashed.update(struct.pack(">I", self.version))
        for part in (self.cpu_id, self.board_serial):
            hashed.update(_part(part))
        hashed.update(_items(*sorted(self.mac_addresses)))
        for part in (self.disk_uuid, self.tpm_attestation):
            hashed.update(_part(part))
        return hashed.hexdigest()


def fingerprint(board: Board) -> Fingerprint:
    """The fingerprint of `board`. A Raspberry Pi has no TPM, so there is no attestation.

    Raises `HardwareUnreadable` rather than leave the processor out because nobody let it be read.
    """
    _require_open(board, CPUINFO)
    return Fingerprint(
        cpu_id=board.cpu_serial,
        board_serial=board.board_serial,
        mac_addresses=board.mac_addresses,
        disk_uuid=board.disk_uuid,
    )


def _require_open(board: Board, name: str) -> None:
    if name in board.closed:
        raise HardwareUnreadable(f"/{name} cannot be read (permission denied); it names this machine.")


def _any_address(board: Board) -> str | None:
    """A permanent address, or, better than no name at all, the first of the others."""
    others = sorted(each.address for each in board.addresses)
    return next(iter((*board.mac_addresses, *others)), None)


def _part(value: str | None) -> bytes:
    return _items() if value is None else _items(value)


def _items(*values: str) -> bytes:
    encoded = [value.encode() for value in values]
    return struct.pack(">I", len(encoded)) + b"".join(struct.pack(">I", len(each)) + each for each in encoded)
