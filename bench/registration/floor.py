"""What one core can do with the cryptography of a registration and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.registry.authority import Authority, make_intermediate, make_root
from protocol.signature import Request, parse, sign, signer, thumbprint, verify


def verified(seconds: float) -> float:
    """Signatures of requests checked in a second, headers and body digest included."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, keyid = key.public_key(), thumbprint(key.public_key())
    body, now = b'{"uptime":3600}', int(time.time())
    headers = {"content-type": "application/json"}
    plain = Request("POST", "127.0.0.1", "/v1/devices/dev_01/heartbeat", headers, body)
    signed = Request(
        plain.method,
        plain.authority,
        plain.target,
        headers | sign(plain, signer(key), keyid, created=now, nonce="1.1"),
        body,
    )
    return _rate(lambda: verify(parse(signed), signed, public, now=now), seconds)


def issued(seconds: float) -> float:
    """Certificates built and signed in a second."""
    now = datetime.now(UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = make_root(root_key, now)
    authority = Authority(root, make_intermediate(key.public_key(), root, root_key, now), key)
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return _rate(lambda: authority.issue(public, "dev_01JZ8Q4W6T", now, timedelta(days=90)), seconds)


def bare_verified(seconds: float) -> float:
    """ECDSA P-256 verifications in a second, nothing around them."""
    key = ec.generate_private_key(ec.SECP256R1())
    signature, public = key.sign(b"x" * 400, ec.ECDSA(hashes.SHA256())), key.public_key()
    return _rate(lambda: public.verify(signature, b"x" * 400, ec.ECDSA(hashes.SHA256())), seconds)


def _rate(work: Callable[[], object], seconds: float) -> float:
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < seconds:
        work()
        count += 1
    return count / took
