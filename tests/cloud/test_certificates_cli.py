"""`meteor-cloud certificates` beside a running cloud: listed, revoked, refused at the next request."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from cloud.security.vault import Vault
from tests.cloud.cloud_process import CloudProcess
from tests.cloud.station_client import Station
from tests.cloud.test_cli import refused, run
from tests.cloud.test_process import owner


async def stations(process: CloudProcess, session: aiohttp.ClientSession, count: int) -> list[Station]:
    ada, found = await owner(process, session), []
    for _ in range(count):
        station = Station(session, process.base, time.time)
        station.take(await station.claim_with_token((await ada.token())["claim_token"]))
        found.append(station)
    return found


def certificates(process: CloudProcess, *arguments: str) -> Any:
    return run("certificates", *arguments, "--data-dir", process.folder)


def crl(process: CloudProcess) -> set[int]:
    content = (process.folder / "crl.pem").read_bytes()
    return {each.serial_number for each in x509.load_pem_x509_crl(content)}


async def test_a_certificate_is_listed_revoked_and_refused_at_the_next_request(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    first, second = await stations(process, session, 2)
    listed = certificates(process, "ls").stdout.splitlines()
    assert sorted(line.split()[1] for line in listed) == sorted([first.device_id, second.device_id])
    serial = x509.load_pem_x509_certificates(first.certificate.encode())[0].serial_number
    done = certificates(process, "revoke", f"{serial:032x}", "--reason", "key_compromise")
    assert (done.returncode, done.stderr) == (0, "")
    assert (await first.beat()).reason == "key_revoked"
    assert crl(process) == {serial}
    done = certificates(process, "revoke", second.device_id)
    assert done.returncode == 0
    assert (await second.beat()).reason == "key_revoked"
    assert certificates(process, "ls").stdout == ""
    shown = certificates(process, "ls", "--all", "--device", first.device_id).stdout
    assert "revoked key_compromise" in shown


async def test_everything_is_revoked_only_when_that_is_really_meant(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    (station,) = await stations(process, session, 1)
    asked = certificates(process, "revoke-all")
    assert (asked.returncode, "--yes" in asked.stdout) == (0, True)
    assert (await station.beat()).status == 200
    done = certificates(process, "revoke-all", "--yes")
    assert "Revoked 1 certificates" in done.stdout
    assert (await station.beat()).reason == "certificate_revoked"
    assert len(crl(process)) == 1


@pytest.mark.parametrize("which", ["dev_" + "0" * 26, "0" * 32, "nonsense"])
def test_what_is_not_there_is_said_in_one_line(tmp_path: Path, which: str) -> None:
    vault = Vault(tmp_path / "secrets")
    vault.make_authority()
    vault.make_missing_keys()
    line = refused(run("certificates", "revoke", which, "--data-dir", tmp_path), 2)
    assert which in line
    assert "CLD-010" in line
