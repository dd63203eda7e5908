"""Whom a station believes: signatures, the chain of roots, rotated and ended keys, clocks of all kinds."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.update.manifest import MANIFEST_TYPE, parse_manifest
from firmware.update.reasons import Refused
from firmware.update.trust import ROOT_TYPE, Floor, anchor, next_root, verify
from scripts.release import root_document, signed
from tests.firmware.update.maker import ISSUED, Maker, keys, values

NOW = ISSUED + timedelta(days=10)


@pytest.fixture
def maker() -> Maker:
    return Maker()


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value.reason.code


def test_a_release_that_the_release_key_signed_is_believed(maker: Maker) -> None:
    assert verify(maker.manifest(), anchor(maker.root()), Floor(), NOW).version == "1.1.0"


def test_every_changed_byte_of_a_manifest_is_seen(maker: Maker) -> None:
    root, data = anchor(maker.root()), maker.manifest()
    whole = verify(data, root, Floor(), NOW)
    for place in range(len(data) - 1):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            got = verify(changed, root, Floor(), NOW)
        except Refused:
            continue
        assert got == whole  # a changed name of a signature that does not count


def test_a_cut_or_longer_manifest_is_refused(maker: Maker) -> None:
    root, data = anchor(maker.root()), maker.manifest()
    for length in range(len(data) - 2):
        assert refused(verify, data[:length], root, Floor(), NOW) == "UPD-002"
    assert refused(verify, data + b" " * 300_000, root, Floor(), NOW) == "UPD-003"


@pytest.mark.parametrize("role", ["root", "stranger"])
def test_a_manifest_of_other_keys_is_refused(maker: Maker, role: str) -> None:
    signers = maker.roots if role == "root" else keys("release")
    data = signed(values(), signers, MANIFEST_TYPE)
    assert refused(verify, data, anchor(maker.root()), Floor(), NOW) == "UPD-002"


def test_a_manifest_signed_as_something_else_is_refused(maker: Maker) -> None:
    data = signed(values(), maker.releases, ROOT_TYPE)
    assert refused(verify, data, anchor(maker.root()), Floor(), NOW) == "UPD-002"


def test_a_root_needs_two_of_its_three_keys(maker: Maker) -> None:
    two = dict(list(maker.roots.items())[:2])
    one = dict(list(maker.roots.items())[:1])
    assert anchor(maker.root(signers=two)).document.version == 1
    assert refused(anchor, maker.root(signers=one)) == "UPD-002"


def test_one_key_under_two_names_counts_once() -> None:
    key = Ed25519PrivateKey.generate()
    roots = {"a": key, "b": key}
    value = root_document(1, roots, keys("release"), expires=NOW)
    assert refused(anchor, signed(value, roots, ROOT_TYPE)) == "UPD-003"


def test_two_signatures_of_one_key_count_once(maker: Maker) -> None:
    one = dict(list(maker.roots.items())[:1])
    envelope = json.loads(maker.root(signers=one))
    envelope["signatures"] *= 2
    assert refused(anchor, json.dumps(envelope).encode()) == "UPD-002"


def test_the_chain_of_roots_leads_to_new_keys(maker: Maker) -> None:
    later = Maker(roots=keys("n1", "n2", "n3"))
    root = next_root(anchor(maker.root()), later.root(2, signers=maker.roots | later.roots))
    assert verify(later.manifest(), root, Floor(), NOW).serial == 5
    assert refused(verify, maker.manifest(), root, Floor(), NOW) == "UPD-002"


@pytest.mark.parametrize("signers", ["old", "new", "one of each"])
def test_a_new_root_needs_the_old_keys_and_its_own(maker: Maker, signers: str) -> None:
    later = Maker(roots=keys("n1", "n2", "n3"))
    chosen = {
        "old": maker.roots,
        "new": later.roots,
        "one of each": {"r1": maker.roots["r1"], "n1": later.roots["n1"]},
    }
    assert refused(next_root, anchor(maker.root()), later.root(2, signers=chosen[signers])) == "UPD-002"


@pytest.mark.parametrize("version", [1, 3])
def test_a_root_is_followed_by_the_next_number_alone(maker: Maker, version: int) -> None:
    assert refused(next_root, anchor(maker.root()), maker.root(version)) == "UPD-002"


def test_a_root_that_has_ended_still_leads_to_its_successor(maker: Maker) -> None:
    ended = ISSUED + timedelta(days=1)
    root = anchor(maker.root(expires=ended))
    assert refused(verify, maker.manifest(), root, Floor(), NOW) == "UPD-004"
    for number in (2, 3):
        root = next_root(root, maker.root(number, expires=ended if number == 2 else None))
    assert verify(maker.manifest(), root, Floor(), NOW).version == "1.1.0"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (None, ""),
        (datetime(1970, 1, 1, tzinfo=UTC), ""),
        (ISSUED - timedelta(days=1), ""),
        (ISSUED + timedelta(days=400), "UPD-004"),
        (ISSUED + timedelta(days=3653), "UPD-004"),
    ],
    ids=["not trusted", "1970", "before it was issued", "+400 days", "+10 years"],
)
def test_only_an_end_counts_and_only_by_a_trusted_clock(
    maker: Maker, now: datetime | None, code: str
) -> None:
    root = anchor(maker.root())
    if code:
        assert refused(verify, maker.manifest(), root, Floor(), now) == code
    else:
        assert verify(maker.manifest(), root, Floor(), now)


@pytest.mark.parametrize("years", [400 / 365, 10])
def test_a_station_that_slept_takes_what_was_made_meanwhile(maker: Maker, years: float) -> None:
    woken = ISSUED + timedelta(days=365 * years)
    root = anchor(maker.root(expires=ISSUED + timedelta(days=30)))
    later = Maker(roots=keys("n1", "n2", "n3"))
    fresh = later.root(2, expires=woken + timedelta(days=3650), signers=maker.roots | later.roots)
    root = next_root(root, fresh)
    data = later.manifest(expires_at=(woken + timedelta(days=90)).isoformat())
    assert verify(data, root, Floor(), woken).version == "1.1.0"


@pytest.mark.parametrize("floor", [Floor(epoch=3), Floor(serial=6)], ids=["epoch", "serial"])
def test_what_lies_below_the_floor_is_refused_although_it_is_signed(maker: Maker, floor: Floor) -> None:
    assert refused(verify, maker.manifest(epoch=2), anchor(maker.root()), floor, NOW) == "UPD-005"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": "../1"}, "version"),
        ({"version": "1.2\n"}, "version"),
        ({"version": "1"}, "version"),
        ({"serial": 0}, "serial"),
        ({"epoch": -1}, "epoch"),
        ({"channel": "Stable"}, "channel"),
        ({"artifacts": []}, "artifacts"),
        ({"artifacts": [{"name": "a", "size": 1}]}, "artifacts[0].sha256"),
        ({"artifacts": [{"name": "../a", "size": 1, "sha256": "0" * 64}]}, "artifacts[0].name"),
        ({"artifacts": [{"name": "a", "size": 0, "sha256": "0" * 64}]}, "artifacts[0].size"),
        ({"artifacts": [{"name": "a", "size": 1, "sha256": "0" * 64}] * 2}, "artifacts"),
        ({"rollout": {"percentage": 101}}, "rollout.percentage"),
        ({"rollout": {"windows": [{"from": "24:00", "to": "01:00"}]}}, "rollout.windows[0].from"),
        ({"minimum": {"from": "new"}}, "minimum.from"),
        ({"issued_at": "2026-05-01T00:00:00"}, "issued_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": None}, "expires_at"),
        ({"version": None}, "version"),
    ],
)
def test_a_mistake_in_a_manifest_is_named_by_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_manifest(json.dumps(values(**change)).encode())
    assert (caught.value.reason.code, caught.value.reason.fields["field"]) == ("UPD-003", field)


def test_fields_of_a_later_format_are_ignored() -> None:
    later = values(delta=[1], rollout={"percentage": 50, "waves": 3})
    assert parse_manifest(json.dumps(later).encode()).rollout.percentage == 50


def test_nothing_in_a_payload_is_read_before_its_signature(maker: Maker) -> None:
    envelope = json.loads(maker.manifest())
    envelope["payload"] = base64.b64encode(b"no json").decode()
    assert refused(verify, json.dumps(envelope).encode(), anchor(maker.root()), Floor(), NOW) == "UPD-002"
