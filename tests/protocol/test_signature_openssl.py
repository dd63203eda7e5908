"""The signature vector in a third implementation: openssl's command line checks it, and signs for us."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from protocol.signature import Request, parse, verify

VECTOR = json.loads((Path(__file__).parent / "signature_vector.json").read_text())
KEY = ec.derive_private_key(int(VECTOR["private_scalar_hex"], 16), ec.SECP256R1())
BASE = VECTOR["signature_base"].encode()
RAW = base64.b64decode(VECTOR["signature_raw_b64"])


def openssl(folder: Path, *command: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *command], cwd=folder, input=text, capture_output=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pem = serialization.Encoding.PEM
    private = KEY.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    public = KEY.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "base").write_bytes(BASE)
    r, s = (int.from_bytes(half, "big") for half in (RAW[:32], RAW[32:]))
    (tmp_path / "signature").write_bytes(encode_dss_signature(r, s))
    return tmp_path


VERIFY = ("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "base")


def test_openssl_verifies_the_vector(folder: Path) -> None:
    assert openssl(folder, *VERIFY).stdout.strip() == b"Verified OK"


@pytest.mark.parametrize("place", [0, len(BASE) // 2, len(BASE) - 1])
def test_openssl_refuses_a_base_with_one_other_byte(folder: Path, place: int) -> None:
    changed = bytearray(BASE)
    changed[place] ^= 1
    (folder / "base").write_bytes(changed)
    assert openssl(folder, *VERIFY).returncode != 0


def test_openssl_has_the_same_digest_of_the_body(folder: Path) -> None:
    digest = openssl(folder, "dgst", "-sha256", "-binary", text=VECTOR["body"].encode()).stdout
    assert f"sha-256=:{base64.b64encode(digest).decode()}:" == VECTOR["content_digest"]


def test_openssl_has_the_same_thumbprint_of_the_key(folder: Path) -> None:
    der = openssl(folder, "ec", "-pubin", "-in", "public.pem", "-outform", "DER").stdout
    x, y = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (der[-64:-32], der[-32:]))
    jwk = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    digest = hashlib.sha256(jwk.encode()).digest()
    assert (jwk, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()) == (VECTOR["jwk"], VECTOR["keyid"])


def test_what_openssl_signs_we_accept(folder: Path) -> None:
    der = openssl(folder, "dgst", "-sha256", "-sign", "key.pem", "base").stdout
    r, s = decode_dss_signature(der)
    raw = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
    headers = {
        "content-type": "application/json",
        "content-digest": VECTOR["content_digest"],
        "signature-input": VECTOR["signature_input"],
        "signature": f"meteor=:{raw}:",
    }
    path = "/v1/devices/dev_01JZ8Q4W6T/heartbeat"
    request = Request("POST", "api.example.org", path, headers, VECTOR["body"].encode())
    verify(parse(request), request, KEY.public_key(), now=1767225600)
