"""From what a person asked for on the page to credentials; a pasted certificate becomes a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from appliance.files import private_folder, write_atomically
from appliance.network.port import Credentials, Enterprise, Security, StaticAddress
from portal.view import Account, JoinRequest

SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Debian's package ca-certificates keeps it."""


def credentials_of(request: JoinRequest, folder: Path) -> Credentials:
    """`folder` keeps pasted certificates, each by its hash. Blocks for a small file. Raises `OSError`."""
    account, fixed = request.account, request.fixed
    return Credentials(
        request.ssid,
        request.passphrase,
        Security(request.security),
        request.hidden,
        None if account is None else _enterprise(account, folder),
        None if fixed is None else StaticAddress(fixed.address, fixed.gateway, fixed.dns),
    )


def _enterprise(account: Account, folder: Path) -> Enterprise:
    file = _authorities(account, folder)
    return Enterprise(
        "ttls" if account.method == "ttls" else "peap",
        account.identity,
        account.anonymous or None,
        None if file is None else str(file),
        account.domain or None,
        unchecked=file is None,
    )


def _authorities(account: Account, folder: Path) -> Path | None:
    if not account.ca:
        return SYSTEM_AUTHORITIES if account.domain else None
    data = account.ca.encode()
    file = private_folder(folder) / f"{hashlib.sha256(data).hexdigest()[:32]}.pem"
    if not file.is_file():
        write_atomically(file, data, 0o600)
    return file
