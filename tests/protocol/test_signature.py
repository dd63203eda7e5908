"""Request signatures: the published vector, an independent library, and one broken element at a time."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Refusal
from protocol.signature import (
    ReplayWindow,
    Request,
    content_digest,
    normal_authority,
    parse,
    sign,
    signature_base,
    signer,
    thumbprint,
    verify,
)

VECTOR = json.loads((Path(__file__).parent / "signature_vector.json").read_text())
KEY = ec.derive_private_key(int(VECTOR["private_scalar_hex"], 16), ec.SECP256R1())
CREATED = 1767225600
BODY = VECTOR["body"].encode()
PATH = "/v1/devices/dev_01JZ8Q4W6T/heartbeat"


def plain(
    body: bytes = BODY, target: str = PATH, method: str = "POST", headers: dict[str, str] | None = None
) -> Request:
    content = {"content-type": "application/json"} if body else {}
    return Request(method, "api.example.org", target, content | (headers or {}), body)


def signed(request: Request, *, created: int = CREATED, nonce: str = "7.42") -> Request:
    added = sign(request, signer(KEY), VECTOR["keyid"], created=created, nonce=nonce)
    return replace(request, headers={**request.headers, **added})


def check(request: Request, now: float = CREATED) -> None:
    verify(parse(request), request, KEY.public_key(), now=now)


def vector_request() -> Request:
    return plain(
        headers={
            "content-digest": VECTOR["content_digest"],
            "signature-input": VECTOR["signature_input"],
            "signature": f"meteor=:{VECTOR['signature_raw_b64']}:",
        }
    )


def test_the_vector_verifies() -> None:
    request = vector_request()
    parsed = parse(request)
    assert (parsed.keyid, parsed.boot, parsed.sequence) == (VECTOR["keyid"], 7, 42)
    check(request)


def test_the_vector_is_what_we_sign() -> None:
    request = signed(plain())
    assert request.headers["signature-input"] == VECTOR["signature_input"]
    assert request.headers["content-digest"] == VECTOR["content_digest"]
    assert (
        signature_base(request, request.covered(), parse(request).parameters).decode()
        == VECTOR["signature_base"]
    )


def test_the_thumbprint_is_that_of_the_vector() -> None:
    assert thumbprint(KEY.public_key()) == VECTOR["keyid"]


# --- an independent library agrees, in both directions ---------------------------------------------------


@dataclass
class Message:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> Any:
        return KEY.public_key()

    def resolve_private_key(self, key_id: str) -> Any:
        return KEY


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", PATH, BODY),
        ("GET", "/v1/devices/config/dev_1?wait=25&x=%20", b""),
        ("PATCH", "/u/1?", b"\x00\xff"),
    ],
)
def test_an_independent_library_accepts_our_signature(method: str, target: str, body: bytes) -> None:
    request = signed(plain(body, target, method), created=int(time.time()))
    message = Message(method, f"https://api.example.org{target}", dict(request.headers))
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys())
    results = verifier.verify(
        message, max_age=timedelta(days=36500), expect_tag="meteor-v1", body=body or None
    )
    assert len(results) == 1


def test_we_accept_the_signature_of_an_independent_library() -> None:
    from datetime import datetime

    message = Message("POST", f"https://api.example.org{PATH}", {"content-type": "application/json"})
    message.headers["content-digest"] = content_digest(BODY)
    created = datetime.fromtimestamp(CREATED)
    HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys()).sign(
        message,
        key_id=VECTOR["keyid"],
        created=created,
        expires=created + timedelta(seconds=300),
        nonce="7.42",
        label="theirs",
        tag="meteor-v1",
        covered_component_ids=plain().covered(),
        body=BODY,
        use_existing_digest=True,
    )
    check(plain(headers={name.lower(): value for name, value in message.headers.items()}))


# --- one broken element at a time ---


def broken_header(name: str, old: str, new: str) -> Request:
    request = signed(plain())
    assert old in request.headers[name]
    return replace(request, headers={**request.headers, name: request.headers[name].replace(old, new)})


def with_header(name: str, value: str) -> Request:
    request = signed(plain())
    return replace(request, headers={**request.headers, name: value})


def without(name: str) -> Request:
    request = signed(plain())
    return replace(request, headers={key: value for key, value in request.headers.items() if key != name})


def der_signature() -> Request:
    raw = base64.b64encode(b"\x30\x45" + b"\x01" * 69).decode()
    request = signed(plain())
    return replace(request, headers={**request.headers, "signature": f"meteor=:{raw}:"})


def twice_tagged() -> Request:
    request = signed(plain())
    double = (
        request.headers["signature-input"]
        + ", other="
        + request.headers["signature-input"].removeprefix("meteor=")
    )
    return replace(request, headers={**request.headers, "signature-input": double})


BROKEN = {
    "another method": replace(signed(plain()), method="PUT"),
    "another path": replace(signed(plain()), target=PATH + "x"),
    "another query": replace(signed(plain()), target=PATH + "?a=1"),
    "another host": replace(signed(plain()), authority="evil.example.org"),
    "another content type": broken_header("content-type", "json", "xml"),
    "another body": replace(signed(plain()), body=BODY + b" "),
    "a digest that is not the body's": broken_header("content-digest", "K", "L"),
    "no digest": without("content-digest"),
    "no signature": without("signature"),
    "no signature input": without("signature-input"),
    "a component less": broken_header("signature-input", ' "@query"', ""),
    "components in another order": broken_header(
        "signature-input", '"@method" "@authority"', '"@authority" "@method"'
    ),
    "a component more": broken_header("signature-input", '"content-digest")', '"content-digest" "date")'),
    "no nonce": broken_header("signature-input", ';nonce="7.42"', ""),
    "a nonce of another form": broken_header("signature-input", '"7.42"', '"abc"'),
    "another algorithm": broken_header("signature-input", "ecdsa-p256-sha256", "hmac-sha256"),
    "another tag": broken_header("signature-input", "meteor-v1", "meteor-v2"),
    "a parameter twice": broken_header("signature-input", ";alg=", ';nonce="7.42";alg='),
    "a longer life": broken_header("signature-input", str(CREATED + 300), str(CREATED + 9000)),
    "another sequence": broken_header("signature-input", '"7.42"', '"7.43"'),
    "a DER signature": der_signature(),
    "two signatures with our tag": twice_tagged(),
    "a mirror that differs": with_header("x-device-signature", base64.b64encode(bytes(64)).decode()),
    "a timestamp mirror that differs": broken_header("x-request-timestamp", "1", "2"),
    "a header of ten kilobytes": broken_header("signature-input", "meteor=", "meteor=" + "x" * 10_000),
}


@pytest.mark.parametrize("request_", BROKEN.values(), ids=BROKEN.keys())
def test_one_broken_element_is_refused(request_: Request) -> None:
    with pytest.raises(Refusal) as refusal:
        check(request_)
    assert (refusal.value.code, refusal.value.reason, refusal.value.status) == (
        "REG-004",
        "bad_signature",
        401,
    )


def test_an_idempotency_key_must_be_covered() -> None:
    bare = signed(plain())
    smuggled = replace(bare, headers={**bare.headers, "idempotency-key": "other"})
    with pytest.raises(Refusal):
        check(smuggled)
    check(signed(plain(headers={"idempotency-key": "mine"})))


@pytest.mark.parametrize("offset", [-301, 301, 86_400, -(10**8)])
def test_a_wrong_clock_is_named_only_when_the_signature_holds(offset: int) -> None:
    with pytest.raises(Refusal) as refusal:
        check(signed(plain()), now=CREATED + offset)
    assert refusal.value.reason == "clock_skew"
    forged = replace(signed(plain()), body=b"{}")
    with pytest.raises(Refusal) as other:
        check(forged, now=CREATED + offset)
    assert other.value.reason == "bad_signature"


@pytest.mark.parametrize("offset", [-300, 0, 300])
def test_five_minutes_are_tolerated(offset: int) -> None:
    check(signed(plain()), now=CREATED + offset)


def test_another_signature_beside_ours_is_left_alone() -> None:
    request = signed(plain())
    headers = {**request.headers}
    headers["signature-input"] = 'proxy=("@method");created=1;tag="proxy", ' + headers["signature-input"]
    headers["signature"] = "proxy=:AAAA:, " + headers["signature"]
    check(replace(request, headers=headers))


@given(st.text(max_size=300), st.text(max_size=200))
def test_rubbish_in_the_headers_is_refused_and_never_crashes(input_: str, signature: str) -> None:
    request = plain(headers={"signature-input": input_, "signature": signature})
    with pytest.raises(Refusal):
        parse(request)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [("API.Example.org:443", "api.example.org"), ("h:80", "h"), ("h:8080", "h:8080"), ("[::1]:80", "[::1]")],
)
def test_the_authority_is_normalised(given_: str, expected: str) -> None:
    assert normal_authority(given_) == expected


# --- replay ------------------------------------------------------------------------------------------------


def test_a_nonce_counts_once_even_out_of_order() -> None:
    window = ReplayWindow()
    for sequence in (1, 3, 2, 66):
        accepted = window.accept(1, sequence)
        assert accepted is not None
        window = accepted
    for used in (1, 3, 2, 66):
        assert window.accept(1, used) is None


def test_a_nonce_too_far_back_and_an_older_boot_are_refused() -> None:
    window = ReplayWindow().accept(5, 1000)
    assert window is not None
    assert window.accept(5, 936) is None
    assert window.accept(5, 937) is not None
    assert window.accept(4, 5000) is None
    newer = window.accept(6, 1)
    assert newer is not None
    assert newer.accept(5, 1001) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200)), max_size=80))
def test_no_nonce_is_ever_accepted_twice(nonces: list[tuple[int, int]]) -> None:
    window, seen = ReplayWindow(), set()
    for nonce in nonces:
        accepted = window.accept(*nonce)
        if accepted is not None:
            assert nonce not in seen
            seen.add(nonce)
            window = accepted
