"""`$` of a regular expression also matches before a line end: no field with a pattern may take one there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.sources import schema
from protocol import batch_messages, event, messages

GOOD: list[tuple[Any, str]] = [
    (event.Sha256, "a" * 64),
    (event.Mime, "image/jpeg"),
    (event.FileName, "sky.jpg"),
    (event.EventId, "01a0c450-6c00-7900-b8fd-2bf6ddd718b4"),
    (event.EventType, "meteor"),
    (messages.Identifier, "dev_01JZ8Q4W6T0000000000000000"),
    (batch_messages.KeyId, "k" * 43),
    (schema.Location, "sky.jpg"),
    (schema.ClientEventId, "camera:1"),
]


@pytest.mark.parametrize(("kind", "text"), GOOD, ids=[text for _, text in GOOD])
def test_a_line_end_after_a_good_value_is_refused(kind: Any, text: str) -> None:
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(f"{text}\n", kind)
