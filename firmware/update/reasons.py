"""Why an update waits, is refused or was taken back: a code, a sentence and one action for each.

A reason is kept as its code and its fields, so that it can be told in any language and by a later program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from firmware.pattern import N_


@dataclass(frozen=True, slots=True)
class Cause:
    """What a code means. `blames` says that the version itself is at fault and is not tried again."""

    text: str
    action: str = ""
    blames: bool = False


class Reason(msgspec.Struct, frozen=True):
    """One cause with the fields of its sentence."""

    code: str
    fields: Mapping[str, str] = {}

    @property
    def cause(self) -> Cause:
        """What the code means."""
        return CAUSES.get(self.code, _UNKNOWN)

    def __str__(self) -> str:
        return self.cause.text % self.fields if self.code in CAUSES else self.code


class Refused(Exception):
    """A release or a step that is not taken."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"{reason.code}: {reason} {reason.fields.get('detail', '')}".rstrip())
        self.reason = reason


def because(code: str, **fields: str) -> Reason:
    """A reason; only fields of its sentence, and `detail` for the log, belong into it."""
    return Reason(code, fields)


_NEXT = N_("Nothing: the station works with its former version and waits for a newer one.")
_MAKER = N_("Tell whoever publishes the updates.")
_WAY = N_("Check the connection, or install from a USB stick.")
_ROOM = N_("Make room on the disk; then it goes on by itself.")
_WAIT = N_("Nothing: it goes on by itself.")

CAUSES: Mapping[str, Cause] = {
    "UPD-001": Cause(N_("The updates cannot be reached."), _WAY),
    "UPD-002": Cause(N_("The update is not signed by those whom this station trusts."), _MAKER),
    "UPD-003": Cause(N_("The description of the update is wrong: %(field)s."), _MAKER),
    "UPD-004": Cause(N_("The description of the update ended on %(date)s."), _MAKER),
    "UPD-005": Cause(N_("Version %(version)s is older than what this station may go back to."), _MAKER),
    "UPD-006": Cause(N_("The update is for the channel %(channel)s; this station follows %(ours)s.")),
    "UPD-007": Cause(N_("Version %(version)s is up to date.")),
    "UPD-008": Cause(N_("Version %(version)s needs at least version %(needed)s first."), _MAKER),
    "UPD-009": Cause(N_("Version %(version)s did not work on this station and is not tried again."), _NEXT),
    "UPD-010": Cause(N_("Its maker has paused this update."), _WAIT),
    "UPD-011": Cause(N_("The update goes to %(percentage)s %% of all stations so far."), _WAIT),
    "UPD-012": Cause(N_("The update waits for its time of day: %(windows)s."), _WAIT),
    "UPD-013": Cause(N_("The update needs %(needed)s MB, and %(free)s MB are free."), _ROOM),
    "UPD-014": Cause(N_("The file %(name)s of the update is not the one that was signed."), _MAKER),
    "UPD-015": Cause(N_("The disk refuses to take the update: %(detail)s."), _ROOM),
    "UPD-016": Cause(N_("The update cannot be unpacked: %(detail)s."), _MAKER, blames=True),
    "UPD-017": Cause(N_("The new version stopped by itself."), _NEXT, blames=True),
    "UPD-018": Cause(N_("The new version hung."), _NEXT, blames=True),
    "UPD-019": Cause(N_("The new version could not store events."), _NEXT, blames=True),
    "UPD-020": Cause(N_("The new version could not take over the database."), _NEXT, blames=True),
    "UPD-021": Cause(N_("The new version did not answer the command line."), _NEXT, blames=True),
    "UPD-022": Cause(N_("The new version did not show its pages."), _NEXT, blames=True),
    "UPD-023": Cause(N_("The new version had no network, and the former one had."), _NEXT, blames=True),
    "UPD-024": Cause(
        N_("The new version did not reach the cloud, and the former one did."), _NEXT, blames=True
    ),
    "UPD-025": Cause(N_("The new version filled the disk."), _NEXT, blames=True),
    "UPD-026": Cause(
        N_("The new version did not know the time, and the former one did."), _NEXT, blames=True
    ),
    "UPD-027": Cause(N_("The update was interrupted too often."), _NEXT, blames=True),
    "UPD-028": Cause(N_("The former version was put back from outside."), _NEXT, blames=True),
    "UPD-029": Cause(N_("A person asked for the former version."), _NEXT, blames=True),
    "UPD-030": Cause(N_("There is no former version to go back to.")),
    "UPD-031": Cause(N_("The new version could not be started."), _NEXT, blames=True),
}

_UNKNOWN = Cause("")
