"""The cloud's own errors, beside the refusals of the protocol. Each has a stable code and one action."""

from __future__ import annotations


class CloudError(Exception):
    """Base: `code` is stable, the text is one sentence, `action` says what to do."""

    code = "CLD-000"
    action = "Look in the log for the request id and report it."

    def __str__(self) -> str:
        return f"{super().__str__()} {self.action} ({self.code})"


class SettingsError(CloudError):
    """A setting is unknown, missing or out of range."""

    code = "CLD-001"
    action = "Correct the named setting; `meteor-cloud run --help` lists them."


class SecretMissing(CloudError):
    """A secret that a production server must have is not there."""

    code = "CLD-002"
    action = "Run `meteor-cloud ca init`, or start with --development to have them made."


class StoreError(CloudError):
    """The database or the disk failed. Answered as REG-009."""

    code = "CLD-003"
    action = "Check that the database runs, is reachable and has free space; the caller may try again."


class StartError(CloudError):
    """The server cannot start, for a reason outside of its settings."""

    code = "CLD-004"
    action = "Remove the cause, then start again."


class AccountRefused(CloudError):
    """An account cannot be made or changed."""

    code = "CLD-005"
    action = "Correct the named value, then run the command again."


class AuditBroken(CloudError):
    """The log of security events was changed, or a note of its head does not fit."""

    code = "CLD-006"
    action = "Compare it with a backup, and find out who could write to the database."


class ListRefused(CloudError):
    """A list of stations, or what was named of the queue, cannot be used."""

    code = "CLD-007"
    action = "Correct what is named, then run the command again."


class CertificateUnknown(CloudError):
    """The command line names a station or a certificate that is not there."""

    code = "CLD-010"
    action = "`meteor-cloud certificates ls --all` lists them."
