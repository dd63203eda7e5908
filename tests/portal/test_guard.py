"""Form tokens, origins and the number of tries."""

from __future__ import annotations

import pytest

from portal.guard import Attempts, Tokens, same_origin


def test_a_token_is_good_for_its_client_until_it_is_old() -> None:
    tokens = Tokens(b"secret", lifetime=100)
    token = tokens.issue("10.0.0.2", now=1000)
    assert tokens.accept(token, "10.0.0.2", now=1100)
    assert not tokens.accept(token, "10.0.0.2", now=1101)
    assert not tokens.accept(token, "10.0.0.3", now=1000)


def test_a_token_of_another_process_is_not_accepted() -> None:
    token = Tokens(b"before the restart").issue("10.0.0.2", now=0)
    assert not Tokens(b"after it").accept(token, "10.0.0.2", now=0)


def test_the_expiry_cannot_be_changed() -> None:
    tokens = Tokens(b"secret", lifetime=100)
    _, _, mac = tokens.issue("10.0.0.2", now=0).partition(".")
    assert not tokens.accept(f"9999999.{mac}", "10.0.0.2", now=500)


@pytest.mark.parametrize("token", ["", ".", "1", "x.y", "99999999999.", "é.é", "1.\x00"])
def test_nonsense_is_not_a_token(token: str) -> None:
    assert not Tokens(b"secret").accept(token, "10.0.0.2", now=0)


def test_after_a_burst_a_client_waits_one_interval_for_each_try() -> None:
    attempts = Attempts(burst=3, interval=10)
    assert [attempts.wait("a", now=0) for _ in range(4)] == [0, 0, 0, 10]
    assert attempts.wait("a", now=4) == 6
    assert [attempts.wait("a", now=10), attempts.wait("a", now=10)] == [0, 10]


def test_one_client_does_not_spend_anothers_tries() -> None:
    attempts = Attempts(burst=1, interval=10)
    assert [attempts.wait("a", now=0), attempts.wait("b", now=0)] == [0, 0]


def test_many_clients_cannot_fill_the_memory() -> None:
    attempts = Attempts(burst=1, interval=1e9)
    for number in range(Attempts.MAX_CLIENTS + 1):
        attempts.wait(f"client {number}", now=0)
    assert attempts.wait("client 0", now=0) == 0
    assert attempts.wait(f"client {Attempts.MAX_CLIENTS}", now=0) > 0


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://192.0.2.1", True),
        ("HTTP://192.0.2.1", True),
        ("http://192.0.2.1:81", False),
        ("http://192.0.2.1.evil.example", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("file://192.0.2.1", False),
    ],
)
def test_only_our_own_origin_may_post(origin: str | None, same: bool) -> None:
    assert same_origin(origin, "192.0.2.1") is same
