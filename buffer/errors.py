"""The errors of the buffer: each has a stable code, a sentence for a person and one action."""

from __future__ import annotations

import errno
import sqlite3


class StoreError(Exception):
    """The base of the family; `code` never changes once published."""

    code = "BUF-000"
    action = "Look at the log around this line."

    def __init__(self, sentence: str) -> None:
        super().__init__(f"{self.code}: {sentence} {self.action}")
        self.sentence = sentence


class BufferFull(StoreError):
    """No room, and nothing less urgent that may be given up for it."""

    code = "BUF-001"
    action = "Bring the station online so that it can upload, or raise the buffer size."


class BufferInUse(StoreError):
    """Another process is the writer of this buffer."""

    code = "BUF-002"
    action = "Stop the other process, or use its commands instead of opening the buffer twice."


class DiskFull(StoreError):
    """The file system, or the size given to the buffer file, is used up."""

    code = "BUF-003"
    action = "Free space on the disk."


class MessageTooLarge(StoreError):
    """One message is above the limit for a payload; large things travel as media."""

    code = "BUF-004"
    action = "Send the data as a media file."


class StorageFailed(StoreError):
    """The disk or the file system refused to read or write."""

    code = "BUF-005"
    action = "Check the card and the file system."


class BufferDamaged(StoreError):
    """The buffer file is not a sound database."""

    code = "BUF-006"
    action = "Move the file aside and start again; keep it for recovery."


class BufferTooNew(StoreError):
    """The file was written by a later version of this program."""

    code = "BUF-007"
    action = "Install the newer version again."


class MediaTooLarge(StoreError):
    """A media file is above the limit."""

    code = "BUF-008"
    action = "Make the recording shorter or raise the media limit."


class MediaMissing(StoreError):
    """No media file has this name."""

    code = "BUF-009"
    action = "Hand in the file again."


class MediaDamaged(MediaMissing):
    """The bytes of a media file no longer have the hash that names it: what was handed in is not here."""

    code = "BUF-010"
    action = "Check the card; the original has to be handed in again."


class BufferClosed(StoreError):
    """The store was closed, or is closing."""

    code = "BUF-011"
    action = "Open it again."


class MessageDamaged(StoreError):
    """The bytes of a message no longer have the checksum they were written with."""

    code = "BUF-012"
    action = "Check the card; the message was set aside among the dead ones."


class InvalidDraft(StoreError):
    """A draft that could never be stored or sent as it is."""

    code = "BUF-013"
    action = "Correct the field named."


class NoBuffer(StoreError):
    """There is no buffer file to read."""

    code = "BUF-014"
    action = "Start the station once, or check the path."


class LogHeld(StoreError):
    """Another process reads the buffer and does not end, so its log cannot be shortened."""

    code = "BUF-015"
    action = "End the process that reads the buffer; its number is in the log."


_FULL = {"SQLITE_FULL"}
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def is_damaged(error: BaseException) -> bool:
    """Whether the error says that the file itself is not sound."""
    return isinstance(error, BufferDamaged) or getattr(error, "sqlite_errorname", "").startswith(_DAMAGED)


def has_failed_to_grow(error: BaseException) -> bool:
    """Whether SQLite could not make one of its side files larger, which a full disk causes too."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(
        ("SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_CANTOPEN")
    )


def is_read_only(error: BaseException) -> bool:
    """Whether SQLite had to open the file for reading only, because the disk refused more."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_READONLY")


def is_full(error: BaseException) -> bool:
    """Whether SQLite ran out of pages or of disk, as far as SQLite can tell."""
    return getattr(error, "sqlite_errorname", "") in _FULL


def from_sqlite(error: sqlite3.Error) -> StoreError:
    """The member of the family that says what SQLite reported."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name in _FULL:
        return DiskFull("There is no space left for the buffer.")
    if name.startswith(_DAMAGED):
        return BufferDamaged(f"The buffer file is damaged ({error}).")
    return StorageFailed(f"The buffer file cannot be used ({name}: {error}).")


def from_os(error: OSError, what: str) -> StoreError:
    """The member of the family that says what the operating system reported about `what`."""
    if error.errno in _NO_SPACE:
        return DiskFull(f"There is no space left for {what}.")
    return StorageFailed(f"{what[:1].upper()}{what[1:]} cannot be used ({error.strerror or error}).")
