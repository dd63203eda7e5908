"""A sentence that has not been said yet: its English text and what is filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sentence:
    """An English sentence that is also its own message id; `%(name)s` marks are filled after translation.

    A field may be a sentence itself, such as the reason for what the sentence tells.
    """

    text: str
    fields: Mapping[str, str | Sentence] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text % self.fields
