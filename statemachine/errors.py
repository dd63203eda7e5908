"""The errors of this room: one base with a stable code and one action; nothing here logs or retries."""

from typing import ClassVar


class LifecycleError(Exception):
    """Base of what the state machine and its record can refuse."""

    code: ClassVar[str] = "FSM-000"
    action: ClassVar[str] = "Report this with the station's log."
