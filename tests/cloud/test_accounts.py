"""Accounts and passwords: what is accepted, what an attacker learns, what a change of parameters does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from cloud.errors import AccountRefused
from cloud.security.accounts import Accounts, normal_email
from cloud.security.limits import Limits
from cloud.security.passwords import Cost, Passwords, weakness
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.schema import audit
from protocol.errors import Refusal
from tests.cloud.people_parts import CHEAP, PASSWORD, Clock, fresh_database

HOME = "192.0.2.7"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with fresh_database(tmp_path) as database:
        yield database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database: Database, clock: Clock) -> Accounts:
    return Accounts(database, Passwords(CHEAP), Limits(clock.monotonic), clock)


async def test_an_account_opens_with_its_password_in_any_case_of_its_address(accounts: Accounts) -> None:
    made = await accounts.create(" Ada@Example.org ", PASSWORD)
    assert (made.email, made.name) == ("ada@example.org", "ada")
    assert (await accounts.sign_in("ADA@example.ORG", PASSWORD, HOME)).id == made.id


async def test_the_store_holds_an_argon2id_hash_and_no_password(
    accounts: Accounts, database: Database
) -> None:
    made = await accounts.create("ada@example.org", PASSWORD)
    stored = await database.read(lambda connection: people.account_by_id(connection, made.id))
    assert stored is not None
    assert stored.password_hash.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert PASSWORD not in str(stored)


async def test_the_same_password_twice_gives_two_hashes() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.hash(PASSWORD) != passwords.hash(PASSWORD)


def test_production_parameters_are_those_of_rfc_9106() -> None:
    assert Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_typed_with_composed_or_decomposed_letters_is_the_same() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.check(passwords.hash("Mu\u0308nchner Sternwarte"), "M\u00fcnchner Sternwarte").right


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper(), PASSWORD + " ", "x" * 10_000, "\x00"])
async def test_a_wrong_password_is_refused(accounts: Accounts, password: str) -> None:
    await accounts.create("ada@example.org", PASSWORD)
    with pytest.raises(Refusal) as refused:
        await accounts.sign_in("ada@example.org", password, HOME)
    assert (refused.value.code, refused.value.status) == ("REG-004", 401)


async def test_an_unknown_address_gets_the_same_answer_as_a_wrong_password(accounts: Accounts) -> None:
    await accounts.create("ada@example.org", PASSWORD)
    answers = []
    for email in ("ada@example.org", "nobody@example.org", "", "no address"):
        with pytest.raises(Refusal) as refused:
            await accounts.sign_in(email, "a wrong password", HOME)
        answers.append((refused.value.code, refused.value.reason, refused.value.detail, refused.value.field))
    assert len(set(answers)) == 1


async def test_an_unknown_address_costs_one_verification_too(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify = PasswordHasher.verify

    def noted(self: PasswordHasher, stored: str, password: str) -> bool:
        verified.append(stored)
        return verify(self, stored, password)

    await accounts.create("ada@example.org", PASSWORD)
    monkeypatch.setattr(PasswordHasher, "verify", noted)
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(Refusal):
            await accounts.sign_in(email, "a wrong password", HOME)
    first, second = verified
    assert first.split("$")[:4] == second.split("$")[:4], "both with the same parameters"


async def test_a_hash_with_old_parameters_is_renewed_at_the_next_sign_in(
    database: Database, clock: Clock
) -> None:
    old = Accounts(database, Passwords(CHEAP), Limits(clock.monotonic), clock)
    made = await old.create("ada@example.org", PASSWORD)
    new = Accounts(database, Passwords(Cost(time=2, memory_kib=16, lanes=1)), Limits(clock.monotonic), clock)

    with pytest.raises(Refusal):
        await new.sign_in("ada@example.org", "a wrong password", HOME)
    assert (await new.get(made.id)).password_hash == made.password_hash, "only who knows it may renew it"

    await new.sign_in("ada@example.org", PASSWORD, HOME)
    assert "$m=16,t=2,p=1$" in (await new.get(made.id)).password_hash
    assert (await new.sign_in("ada@example.org", PASSWORD, HOME)).id == made.id


async def test_attempts_are_charged_to_the_guessers_network_and_not_to_the_victim(
    accounts: Accounts, clock: Clock
) -> None:
    made = await accounts.create("ada@example.org", PASSWORD)
    for _ in range(10):
        with pytest.raises(Refusal, match="REG-004"):
            await accounts.sign_in("ada@example.org", "guess", "198.51.100.9")
    with pytest.raises(Refusal) as refused:
        await accounts.sign_in("ada@example.org", PASSWORD, "198.51.100.9")
    assert refused.value.status == 429
    wait = refused.value.retry_after
    assert wait is not None
    assert (await accounts.sign_in("ada@example.org", PASSWORD, HOME)).id == made.id

    clock.move(wait)
    assert (await accounts.sign_in("ada@example.org", PASSWORD, "198.51.100.9")).id == made.id


async def test_a_password_is_changed_only_with_the_current_one(accounts: Accounts) -> None:
    made = await accounts.create("ada@example.org", PASSWORD)
    with pytest.raises(Refusal) as refused:
        await accounts.change_password(made.id, "not it", "another good password", HOME)
    assert refused.value.field == "current"

    await accounts.change_password(made.id, PASSWORD, "another good password", HOME)
    assert (await accounts.sign_in("ada@example.org", "another good password", HOME)).id == made.id
    with pytest.raises(Refusal):
        await accounts.sign_in("ada@example.org", PASSWORD, HOME)


async def test_a_weak_new_password_changes_nothing(accounts: Accounts) -> None:
    made = await accounts.create("ada@example.org", PASSWORD)
    with pytest.raises(Refusal) as refused:
        await accounts.change_password(made.id, PASSWORD, "short", HOME)
    assert refused.value.field == "new"
    assert (await accounts.sign_in("ada@example.org", PASSWORD, HOME)).id == made.id


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("123456789", False),
        ("1234567890", False),
        ("PassWord123", False),
        ("aaaaaaaaaaaa", False),
        ("ada@example.org", False),
        ("Ada Lovelace", False),
        ("x" * 257, False),
        ("four words in a row", True),
        ("十文字以上のパスワードです", True),
        ("8fKw!x92mQ", True),
    ],
)
def test_weak_passwords_are_named(password: str, accepted: bool) -> None:
    assert (weakness(password, "ada@example.org", "Ada Lovelace") is None) is accepted


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("a@b", "a@b"),
        ("  Ada.L+x@Example.ORG ", "ada.l+x@example.org"),
        ("ada", None),
        ("@example.org", None),
        ("ada@", None),
        ("ada@exa mple.org", None),
        ("ada@example..org", None),
        ("ada@exam\nple.org", None),
        ("a" * 65 + "@example.org", None),
        ("ada@" + "e" * 260, None),
    ],
)
def test_addresses_have_one_normal_form(typed: str, normal: str | None) -> None:
    assert normal_email(typed) == normal


async def test_an_address_belongs_to_one_account(accounts: Accounts) -> None:
    await accounts.create("ada@example.org", PASSWORD)
    with pytest.raises(AccountRefused, match="already"):
        await accounts.create("Ada@example.org", PASSWORD)


@pytest.mark.parametrize(
    ("email", "password", "name"),
    [("no address", PASSWORD, ""), ("a@b.c", "short", ""), ("a@b.c", PASSWORD, "n" * 81)],
)
async def test_a_bad_account_is_refused_and_not_made(
    accounts: Accounts, email: str, password: str, name: str
) -> None:
    with pytest.raises(AccountRefused):
        await accounts.create(email, password, name)
    assert not await accounts.any_exist()


@pytest.mark.parametrize("name", ["", "   ", "n" * 81, "bell\x07", "null\x00"])
async def test_a_name_that_cannot_be_shown_is_refused(accounts: Accounts, name: str) -> None:
    made = await accounts.create("ada@example.org", PASSWORD)
    with pytest.raises(Refusal) as refused:
        await accounts.rename(made.id, name)
    assert refused.value.field == "name"
    assert (await accounts.get(made.id)).name == "ada"


async def test_sign_ins_are_in_the_audit_trail_without_what_was_typed(
    accounts: Accounts, database: Database
) -> None:
    made = await accounts.create("ada@example.org", PASSWORD)
    with pytest.raises(Refusal):
        await accounts.sign_in("secret-typed-here@example.org", "guess", HOME)
    await accounts.sign_in("ada@example.org", PASSWORD, HOME)
    await accounts.change_password(made.id, PASSWORD, "another good password", HOME)

    rows = await database.read(lambda connection: connection.execute(select(audit)).all())
    assert [(row.action, row.subject) for row in rows] == [
        ("account_created", made.id),
        ("sign_in_failed", "-"),
        ("signed_in", made.id),
        ("password_changed", made.id),
    ]
    assert "secret-typed-here" not in str(rows)
