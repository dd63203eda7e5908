"""The record that outlives a power cut: its fields, its bytes, and how a step or a start changes it.

Nothing here opens a file: whoever keeps the record writes `encode(record)` with temp file, fsync and rename,
readable by its owner alone, since it can hold a claim token.

The bytes are one JSON object, `{"format":1,"sha256":"…","record":{…}}`. The sum covers the format number and
the record's exact bytes and the rest is fixed text, so no changed, missing or added byte goes unseen.

Newer programs may add fields: an older one keeps what it does not know and writes it back. They may add
states and triggers too: an older one reads an unknown state as `uninitialized`, which is harmless because a
start does not depend on it. A change that an older program must not read gets a new format number.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

from statemachine.errors import LifecycleError
from statemachine.lifecycle import State, Transition, Trigger

FORMAT = 1

CONNECTED = "connected"
"""The `result` of a network attempt that ended with a working link; any other result is an error code."""

_LAYOUT = re.compile(
    rb'\{"format":([1-9][0-9]{0,3}),"sha256":"([0-9a-f]{64})","record":(\{.*\})\}\n', re.DOTALL
)


class RecordDamaged(LifecycleError):
    """The bytes are not a whole record of a format this program reads; `reason` says what is wrong."""

    code: ClassVar[str] = "FSM-002"
    action: ClassVar[str] = (
        "Start without the record; the credentials still tell whether the station is claimed."
    )

    def __init__(self, reason: str) -> None:
        super().__init__(f"The station's record cannot be used: {reason}.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LastError:
    """The last thing that went wrong: code, sentence, and when (UTC, seconds since 1970)."""

    code: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class NetworkAttempt:
    """The last network that was tried. An SSID is bytes and need not be text, hence the hexadecimal.

    `result` is `CONNECTED`, an error code, or None while the attempt is still going on; `at` is UTC seconds.
    """

    ssid_hex: str
    result: str | None
    at: float

    @property
    def ssid(self) -> bytes:
        """The network's name as its 0 to 32 bytes."""
        return bytes.fromhex(self.ssid_hex)


@dataclass(frozen=True, slots=True)
class Record:
    """All that the machine needs after a power cut. Times are UTC in seconds since 1970, for people only.

    `ca_pin` came with the claim code and says whose claims it may make: SHA-256 in hex of a root's key.
    """

    state: State
    since: float
    last_trigger: Trigger | None = None
    last_error: LastError | None = None
    device_id: str | None = None
    claim_id: str | None = None
    claim_token: str | None = field(default=None, repr=False)
    ca_pin: str | None = None
    network_attempt: NetworkAttempt | None = None
    error_retries: int = 0
    boot_counter: int = 0
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def claimed(self) -> bool:
        """Whether the device belongs to someone."""
        return self.device_id is not None


def first_record(now: float) -> Record:
    """The record of a device that was never switched on before."""
    return Record(state=State.UNINITIALIZED, since=now)


def started(record: Record, now: float) -> Record:
    """The record at the start of the program: the first state, one more boot, everything else kept."""
    return replace(
        record, state=State.UNINITIALIZED, since=now, last_trigger=None, boot_counter=record.boot_counter + 1
    )


def after(record: Record, step: Transition, now: float) -> Record:
    """The record after a step: where the device stands, and the counters and claims that the step changes.

    A reset forgets owner, claim, network and last error. `recovered` counts one more try, and reaching
    `operational` starts that count anew.
    """
    changed = replace(
        record,
        state=step.target,
        since=now if step.moved else record.since,
        last_trigger=step.trigger,
        error_retries=_retries(record, step),
    )
    if step.trigger is not Trigger.RESET_REQUESTED:
        return changed
    return replace(
        changed,
        device_id=None,
        claim_id=None,
        claim_token=None,
        ca_pin=None,
        network_attempt=None,
        last_error=None,
    )


def resume(record: Record, *, network_stored: bool = False) -> Trigger:
    """The trigger that `initializing` fires once the hardware is known to work.

    It follows from what is true, never from where the device stopped: claimed or not, a network or none. So a
    record from any state, even one this program does not know, leads to a legal start. `network_stored` tells
    of networks that are known without the record, for example put on the card by its maker.
    """
    if record.claimed:
        return Trigger.RESUMED
    if network_stored or _network_may_work(record.network_attempt):
        return Trigger.NETWORK_KNOWN
    return Trigger.FINGERPRINT_READY


def encode(record: Record) -> bytes:
    """The record's bytes; the same record always gives the same bytes."""
    known = asdict(record)
    body = json.dumps(
        {**known.pop("unknown"), **known}, separators=(",", ":"), sort_keys=True, allow_nan=False
    ).encode()
    return b'{"format":%d,"sha256":"%s","record":%s}\n' % (FORMAT, _sum(FORMAT, body).encode(), body)


def decode(data: bytes) -> Record:
    """The record in `data`; raise `RecordDamaged` if a single byte of it is not as it was written."""
    layout = _LAYOUT.fullmatch(data)
    if layout is None:
        raise RecordDamaged("it is empty" if not data else "it is cut short or overwritten")
    form, checksum, body = int(layout[1]), layout[2].decode(), layout[3]
    if _sum(form, body) != checksum:
        raise RecordDamaged("its checksum does not match its content")
    if form > FORMAT:
        raise RecordDamaged(f"it has format {form}, written by a newer program; this one reads {FORMAT}")
    try:
        return _record(json.loads(body))
    except (ValueError, TypeError, KeyError) as error:
        raise RecordDamaged(f"a field has no meaning ({error})") from error


def _retries(record: Record, step: Transition) -> int:
    if step.trigger is Trigger.RECOVERED:
        return record.error_retries + 1
    return 0 if step.target is State.OPERATIONAL else record.error_retries


def _network_may_work(attempt: NetworkAttempt | None) -> bool:
    """An attempt that worked, or one that the power cut interrupted; after a failure the person is asked."""
    return attempt is not None and attempt.result in (CONNECTED, None)


def _sum(form: int, body: bytes) -> str:
    return hashlib.sha256(b"%d:%s" % (form, body)).hexdigest()


def _record(found: dict[str, Any]) -> Record:
    known = {each.name for each in fields(Record)} - {"unknown"}
    return Record(
        state=_known_state(_text(found, "state")),
        since=_number(found, "since"),
        last_trigger=_known_trigger(_text_or_none(found, "last_trigger")),
        last_error=_last_error(found.get("last_error")),
        device_id=_text_or_none(found, "device_id"),
        claim_id=_text_or_none(found, "claim_id"),
        claim_token=_text_or_none(found, "claim_token"),
        ca_pin=_text_or_none(found, "ca_pin"),
        network_attempt=_network_attempt(found.get("network_attempt")),
        error_retries=_count(found, "error_retries"),
        boot_counter=_count(found, "boot_counter"),
        unknown={name: value for name, value in found.items() if name not in known},
    )


def _last_error(found: dict[str, Any] | None) -> LastError | None:
    if found is None:
        return None
    return LastError(_text(found, "code"), _text(found, "text"), _number(found, "at"))


def _network_attempt(found: dict[str, Any] | None) -> NetworkAttempt | None:
    if found is None:
        return None
    attempt = NetworkAttempt(_text(found, "ssid_hex"), _text_or_none(found, "result"), _number(found, "at"))
    if len(attempt.ssid) > 32:
        raise ValueError("an SSID has at most 32 bytes")
    return attempt


def _known_state(name: str) -> State:
    return next((state for state in State if state.value == name), State.UNINITIALIZED)


def _known_trigger(name: str | None) -> Trigger | None:
    return next((trigger for trigger in Trigger if trigger.value == name), None)


def _text(found: dict[str, Any], name: str) -> str:
    value = found[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not text")
    return value


def _text_or_none(found: dict[str, Any], name: str) -> str | None:
    return None if found.get(name) is None else _text(found, name)


def _number(found: dict[str, Any], name: str) -> float:
    value = found[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is not a number")
    return float(value)


def _count(found: dict[str, Any], name: str) -> int:
    value = found.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{name} is not a count")
    return value
