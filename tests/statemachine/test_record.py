"""The record: its bytes, its damage, and what a start makes of it."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.lifecycle import Lifecycle, State, Transition, Trigger
from statemachine.record import (
    CONNECTED,
    LastError,
    NetworkAttempt,
    Record,
    RecordDamaged,
    after,
    decode,
    encode,
    first_record,
    resume,
    started,
)

FULL = Record(
    state=State.CLAIMING,
    since=1_790_000_000.5,
    last_trigger=Trigger.CLAIM_STARTED,
    last_error=LastError("NET-003", "The password for „Büro\n5G“ was not accepted.", 1_789_999_000.0),
    device_id="dev_01JD0000000000000000000000",
    claim_id="clm_01JD0000000000000000000000",
    claim_token="mct_canary",
    network_attempt=NetworkAttempt("42c3bc726fff00", CONNECTED, 1_789_999_500.0),
    error_retries=2,
    boot_counter=41,
)

# Finite text of any kind; surrogates cannot be written as UTF-8 by anyone.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
times = st.floats(allow_nan=False, allow_infinity=False)
attempts = st.builds(NetworkAttempt, st.binary(max_size=32).map(bytes.hex), st.none() | texts, times)
records = st.builds(
    Record,
    state=st.sampled_from(State),
    since=times,
    last_trigger=st.none() | st.sampled_from(Trigger),
    last_error=st.none() | st.builds(LastError, texts, texts, times),
    device_id=st.none() | texts,
    claim_id=st.none() | texts,
    claim_token=st.none() | texts,
    network_attempt=st.none() | attempts,
    error_retries=st.integers(0, 10**6),
    boot_counter=st.integers(0, 10**9),
    unknown=st.dictionaries(texts.map("x_{}".format), st.none() | st.integers() | texts, max_size=3),
)


def _rewritten(changes: dict[str, Any], form: int = 1) -> bytes:
    """A record as another version of the program might have written it, checksum and all."""
    body = json.dumps({**json.loads(encode(FULL))["record"], **changes}, separators=(",", ":")).encode()
    checksum = hashlib.sha256(b"%d:%s" % (form, body)).hexdigest().encode()
    return b'{"format":%d,"sha256":"%s","record":%s}\n' % (form, checksum, body)


@given(records)
def test_a_record_comes_back_as_it_was_written(record: Record) -> None:
    assert decode(encode(record)) == record


def test_the_bytes_are_one_json_object_that_a_person_can_read() -> None:
    written = json.loads(encode(FULL))
    assert written["format"] == 1
    assert written["record"]["state"] == "claiming"
    assert written["record"]["network_attempt"]["ssid_hex"] == "42c3bc726fff00"


def test_the_same_record_always_gives_the_same_bytes() -> None:
    assert encode(FULL) == encode(replace(FULL))


def test_a_change_of_any_bit_of_any_byte_is_noticed() -> None:
    whole = encode(FULL)
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            with pytest.raises(RecordDamaged):
                decode(bytes(damaged))


def test_a_record_cut_off_at_any_byte_is_noticed() -> None:
    whole = encode(FULL)
    for length in range(len(whole)):
        with pytest.raises(RecordDamaged):
            decode(whole[:length])


@pytest.mark.parametrize("tail", [b"\n", b"\0" * 512, b"{}"])
def test_bytes_after_the_end_are_noticed(tail: bytes) -> None:
    with pytest.raises(RecordDamaged):
        decode(encode(FULL) + tail)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"\0" * 400, "it is cut short or overwritten"),
        (encode(FULL).replace(b"claiming", b"updating"), "its checksum does not match its content"),
        (_rewritten({}, form=2), "it has format 2, written by a newer program; this one reads 1"),
        (_rewritten({"since": "noon"}), "a field has no meaning (since is not a number)"),
        (_rewritten({"since": True}), "a field has no meaning (since is not a number)"),
        (_rewritten({"state": None}), "a field has no meaning (state is not text)"),
        (_rewritten({"boot_counter": -1}), "a field has no meaning (boot_counter is not a count)"),
        (_rewritten({"error_retries": 1.5}), "a field has no meaning (error_retries is not a count)"),
        (_rewritten({"device_id": 7}), "a field has no meaning (device_id is not text)"),
        (
            _rewritten({"network_attempt": {"ssid_hex": "00" * 33, "result": None, "at": 0}}),
            "a field has no meaning (an SSID has at most 32 bytes)",
        ),
    ],
)
def test_a_damaged_record_says_what_is_wrong_with_it(data: bytes, reason: str) -> None:
    with pytest.raises(RecordDamaged) as damage:
        decode(data)
    assert damage.value.reason == reason
    assert damage.value.code == "FSM-002"


@pytest.mark.parametrize(
    "changes",
    [
        {"last_error": []},
        {"last_error": {"code": "NET-003"}},
        {"network_attempt": "Home"},
        {"network_attempt": {"ssid_hex": "zz", "result": None, "at": 0}},
    ],
)
def test_a_nested_field_of_the_wrong_shape_is_damage_and_not_a_crash(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordDamaged):
        decode(_rewritten(changes))


def test_a_field_of_a_newer_program_is_kept_and_written_back() -> None:
    record = decode(_rewritten({"solar_panel": {"volts": 12.5}}))
    assert record.claim_id == FULL.claim_id
    rewritten = encode(
        after(record, Transition(State.CLAIMING, Trigger.CLAIM_FAILED, State.NETWORK_READY), 5.0)
    )
    assert json.loads(rewritten)["record"]["solar_panel"] == {"volts": 12.5}


def test_a_state_and_a_trigger_of_a_newer_program_do_not_cost_the_owner_the_station() -> None:
    record = decode(_rewritten({"state": "hibernating", "last_trigger": "dusk"}))
    assert (record.state, record.last_trigger) == (State.UNINITIALIZED, None)
    assert record.device_id == FULL.device_id
    assert resume(record) is Trigger.RESUMED


def test_a_record_of_an_older_program_without_the_optional_fields_is_read() -> None:
    body = b'{"since":1.0,"state":"setup"}'
    checksum = hashlib.sha256(b"1:" + body).hexdigest().encode()
    assert decode(b'{"format":1,"sha256":"%s","record":%s}\n' % (checksum, body)) == Record(State.SETUP, 1.0)


def test_a_claim_token_never_shows_in_a_log_of_the_record() -> None:
    assert "canary" not in repr(FULL)
    assert "canary" in encode(FULL).decode()


def test_an_ssid_keeps_its_bytes_even_when_they_are_no_text() -> None:
    attempt = decode(encode(FULL)).network_attempt
    assert attempt is not None
    assert attempt.ssid == b"B\xc3\xbcro\xff\x00"


# (claimed, last attempt's result or "none made", network stored elsewhere) -> what `initializing` fires
RESUMES = [
    (True, "none made", False, Trigger.RESUMED),
    (True, "none made", True, Trigger.RESUMED),
    (True, "NET-003", False, Trigger.RESUMED),
    (True, CONNECTED, True, Trigger.RESUMED),
    (False, "none made", False, Trigger.FINGERPRINT_READY),
    (False, "none made", True, Trigger.NETWORK_KNOWN),
    (False, "NET-003", False, Trigger.FINGERPRINT_READY),
    (False, "NET-003", True, Trigger.NETWORK_KNOWN),
    (False, CONNECTED, False, Trigger.NETWORK_KNOWN),
    (False, None, False, Trigger.NETWORK_KNOWN),
]
LEADS_TO = {
    Trigger.RESUMED: State.RECONNECTING,
    Trigger.NETWORK_KNOWN: State.CONNECTING,
    Trigger.FINGERPRINT_READY: State.SETUP,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("claimed", "result", "stored", "trigger"), RESUMES)
def test_after_a_power_cut_in_any_state_the_device_resumes_as_the_table_says(
    state: State, claimed: bool, result: str | None, stored: bool, trigger: Trigger
) -> None:
    attempt = None if result == "none made" else NetworkAttempt("00", result, 1.0)
    before = Record(state, 1.0, device_id="dev_1" if claimed else None, network_attempt=attempt)
    record = started(decode(encode(before)), now=2.0)
    machine = Lifecycle(is_claimed=lambda: record.claimed)
    machine.fire(Trigger.POWER_ON)
    assert resume(record, network_stored=stored) is trigger
    assert machine.fire(trigger).target is LEADS_TO[trigger]


def test_a_start_counts_one_more_boot_and_keeps_what_matters() -> None:
    again = started(FULL, now=99.0)
    assert again.boot_counter == FULL.boot_counter + 1
    assert (again.state, again.since, again.last_trigger) == (State.UNINITIALIZED, 99.0, None)
    assert (again.device_id, again.claim_id, again.claim_token) == (
        FULL.device_id,
        FULL.claim_id,
        FULL.claim_token,
    )
    assert (again.network_attempt, again.last_error) == (FULL.network_attempt, FULL.last_error)


def test_the_first_record_knows_nothing() -> None:
    assert first_record(7.0) == Record(State.UNINITIALIZED, 7.0)
    assert not first_record(7.0).claimed


def test_a_step_that_moves_restarts_the_clock_and_one_that_stays_does_not() -> None:
    moved = after(FULL, Transition(State.CLAIMING, Trigger.CLAIM_FAILED, State.NETWORK_READY), 50.0)
    assert (moved.state, moved.since, moved.last_trigger) == (State.NETWORK_READY, 50.0, Trigger.CLAIM_FAILED)
    stayed = after(
        moved, Transition(State.NETWORK_READY, Trigger.WAITING_FOR_CLAIM, State.NETWORK_READY), 60.0
    )
    assert (stayed.since, stayed.last_trigger) == (50.0, Trigger.WAITING_FOR_CLAIM)


def test_a_reset_forgets_owner_claim_network_and_error_but_not_the_boots() -> None:
    record = after(FULL, Transition(State.CLAIMING, Trigger.RESET_REQUESTED, State.SETUP), 50.0)
    assert not record.claimed
    assert (record.claim_id, record.claim_token, record.network_attempt, record.last_error) == (None,) * 4
    assert record.boot_counter == FULL.boot_counter
    assert resume(record) is Trigger.FINGERPRINT_READY


def test_error_retries_grow_with_each_recovery_and_start_anew_once_the_station_runs() -> None:
    record = first_record(0.0)
    for _ in range(3):
        record = after(record, Transition(State.ERROR, Trigger.RECOVERED, State.SETUP), 1.0)
    assert record.error_retries == 3
    record = after(record, Transition(State.SETUP, Trigger.CLIENT_JOINED, State.CONFIGURING), 2.0)
    assert record.error_retries == 3
    record = after(record, Transition(State.ACTIVATING, Trigger.ACTIVATED, State.OPERATIONAL), 3.0)
    assert record.error_retries == 0


@given(st.lists(st.sampled_from(Trigger), max_size=40))
def test_a_record_that_follows_a_random_walk_always_leads_to_a_legal_start(walk: list[Trigger]) -> None:
    record = first_record(0.0)
    machine = Lifecycle(is_claimed=lambda: record.claimed)
    for now, trigger in enumerate(walk):
        if trigger in machine.allowed():
            record = after(record, machine.fire(trigger), float(now))
            if trigger is Trigger.CLAIM_SUCCEEDED:
                record = replace(record, device_id="dev_1")
    assert record.state is machine.state
    again = started(decode(encode(record)), 100.0)
    fresh = Lifecycle(is_claimed=lambda: again.claimed)
    fresh.fire(Trigger.POWER_ON)
    target = fresh.fire(resume(again)).target
    assert target is (State.RECONNECTING if record.claimed else State.SETUP)
