"""The tools of the network tests do what they say; needs neither namespaces nor root."""

from __future__ import annotations

import struct
import subprocess
import sys
from random import Random

import pytest

from scripts.processes import eventually
from tests.netfaults.control import cpu_seconds
from tests.netfaults.names import CODES, reply
from tests.netfaults.packets import QUEUE_S, Faults, Way

QUESTION = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\5cloud\4test\0" + struct.pack("!HH", 1, 1)


def lost(faults: Faults, packets: int = 10_000) -> list[bool]:
    way = Way(Random(1))
    return [way.departure(0.0, 1500, faults) is None for _ in range(packets)]


def test_a_share_of_the_packets_is_lost_and_always_the_same_ones() -> None:
    first = lost(Faults(loss=0.3))
    assert 2_800 < sum(first) < 3_200
    assert first == lost(Faults(loss=0.3))


@pytest.mark.parametrize(("faults", "expected"), [(Faults(), 0), (Faults(blackhole=True), 10_000)])
def test_a_good_link_loses_nothing_and_a_black_hole_all(faults: Faults, expected: int) -> None:
    assert sum(lost(faults)) == expected


def test_a_delay_moves_every_packet_by_the_same_time() -> None:
    way = Way(Random(1))
    assert [way.departure(now, 1500, Faults(delay_s=1.0)) for now in (0.0, 0.5)] == [1.0, 1.5]


def test_a_slow_link_sends_one_after_the_other_and_drops_what_would_wait_too_long() -> None:
    way, slow = Way(Random(1)), Faults(rate=1500.0)
    times = [way.departure(0.0, 1500, slow) for _ in range(5)]
    assert times == [1.0, 2.0, 3.0, None, None]
    assert QUEUE_S == 2.0


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        (b"cloud.test", "answer", (0, 1)),
        (b"Cloud.TEST", "answer", (0, 1)),
        (b"other.test", "answer", (3, 0)),
        (b"cloud.test", "servfail", (2, 0)),
    ],
)
def test_the_name_server_knows_one_name(name: bytes, code: str, expected: tuple[int, int]) -> None:
    answer = reply(QUESTION, name, "198.18.0.1", CODES[code])
    number, flags, _, found = struct.unpack_from("!HHHH", answer)
    assert (number, flags & 0xF, found) == (7, *expected)
    assert answer.endswith(bytes([198, 18, 0, 1])) == bool(found)


def test_a_loop_that_does_not_wait_is_seen_in_the_time_of_its_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            eventually(lambda: cpu_seconds(busy.pid) > 1.0, "a busy process uses the processor", 60.0)
        finally:
            busy.kill()
