"""Packed bodies: what goes in comes out, and nothing comes out that nobody asked for."""

from __future__ import annotations

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.compression import Damaged, TooLarge, pack, unpack


@given(st.binary(max_size=5000))
def test_what_goes_in_comes_out(body: bytes) -> None:
    assert unpack(pack(body), len(body)) == body
    assert gzip.decompress(pack(body)) == body


@given(st.binary(max_size=2000))
def test_the_same_body_is_the_same_packet(body: bytes) -> None:
    assert pack(body) == pack(body)


@pytest.mark.parametrize("over", [1, 1 << 20])
def test_more_than_the_limit_never_comes_out(over: int) -> None:
    with pytest.raises(TooLarge):
        unpack(pack(b" " * (1000 + over)), 1000)


@given(st.binary(max_size=300))
def test_anything_else_is_damaged_or_whole(data: bytes) -> None:
    with contextlib.suppress(Damaged, TooLarge):
        assert len(unpack(data, 10_000)) <= 10_000


@given(st.binary(min_size=1, max_size=500), st.data())
def test_a_packet_that_was_cut_is_damaged(body: bytes, data: st.DataObject) -> None:
    packed = pack(body)
    kept = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(Damaged):
        unpack(packed[:kept], 1000)
