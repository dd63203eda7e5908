"""Why something that a camera program handed in is not taken: a stable code, the field and the remedy."""

from __future__ import annotations

NOT_JSON = "SRC-001"
WRONG_FIELD = "SRC-002"
MEDIA_MISSING = "SRC-003"
MEDIA_OUTSIDE = "SRC-004"
MEDIA_DIFFERS = "SRC-005"
TOO_LARGE = "SRC-006"
NOT_AN_EVENT = "SRC-007"
UNREADABLE = "SRC-008"


class SourceRefused(Exception):
    """What was handed in can never be taken as it is.

    `field` is a JSON path (`$.media[0].name`), or "$" for the whole; `incomplete` means that it may only be
    half written yet.
    """

    def __init__(
        self, code: str, sentence: str, remedy: str, *, field: str = "$", incomplete: bool = False
    ) -> None:
        super().__init__(f"{code}: {field}: {sentence} {remedy}")
        self.code = code
        self.sentence = sentence
        self.remedy = remedy
        self.field = field
        self.incomplete = incomplete
