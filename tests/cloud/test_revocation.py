"""Revoked means refused at the next request, named in the list that openssl reads, and renewable or not."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from cloud import keys
from cloud.registry.crl import REBUILD_MS
from cloud.registry.revocations import revoke_all
from cloud.security import audit
from cloud.security.vault import Secrets
from cloud.store import schema
from protocol.certificate_messages import CertificateList, RenewAnswer, RenewRequest
from protocol.messages import ConfigAnswer
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Reply, Station

DAY = 86_400


async def revoke(person: Person, station: Station, **wish: Any) -> Reply:
    return await person.send("POST", f"{station.place}/revoke", wish)


async def renew(station: Station, key: ec.EllipticCurvePrivateKey) -> Reply:
    request = RenewRequest(csr=station.csr(key))
    return await station.send("POST", f"{station.place}/certificates/renew", request)


async def listed(person: Person, station: Station) -> CertificateList:
    reply = await person.send("GET", f"{station.place}/certificates")
    assert reply.status == 200, reply
    return reply.read(CertificateList)


async def crl_of(cloud: Cloud) -> bytes:
    async with cloud.session.get(f"{cloud.base}/crl") as reply:
        assert (reply.status, reply.content_type) == (200, "application/x-pem-file")
        return await reply.read()


def serials(crl: bytes) -> set[str]:
    return {f"{each.serial_number:032x}" for each in x509.load_pem_x509_crl(crl)}


# --- one station --------------------------------------------------------------------------------------------


async def test_a_revoked_station_is_refused_at_its_next_request_for_good(cloud: Cloud) -> None:
    ada = await cloud.person()
    station, other = await cloud.claimed(ada), await cloud.claimed(ada)
    reply = await revoke(ada, station, reason="key_compromise", note="stolen from the roof")
    assert (reply.status, reply.read(dict[str, Any])["revoked"]) == (200, 1)
    for refused in (
        await station.beat(),
        await station.report(station.event()),
        await renew(station, ec.generate_private_key(ec.SECP256R1())),
    ):
        assert (refused.status, refused.reason) == (403, "key_revoked")
    assert (await station.claim_with_card()).status == 403
    assert (await other.beat()).status == 200


async def test_only_the_owner_revokes(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station = await cloud.claimed(ada)
    assert (await revoke(eve, station)).status == 404
    assert (await station.beat()).status == 200


async def test_a_revocation_is_in_the_audit(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    await revoke(ada, station, reason="superseded")
    row = schema.audit.select().where(schema.audit.c.action == "device_revoked")
    entry = await cloud.database.read(lambda c: c.execute(row).one())
    assert (entry.subject, entry.actor) == (station.device_id, f"person:{ada.account_id}")
    assert await cloud.database.read(audit.first_broken) is None


async def test_the_key_that_waits_for_its_first_use_is_revoked_too(cloud: Cloud) -> None:
    ada, key = await cloud.person(), ec.generate_private_key(ec.SECP256R1())
    station = await cloud.claimed(ada)
    assert (await renew(station, key)).status == 201
    assert (await revoke(ada, station)).read(dict[str, Any])["revoked"] == 2
    station.key = key
    assert (await station.beat()).reason == "key_revoked"


# --- seen and downloaded ------------------------------------------------------------------------------------


async def test_an_owner_sees_every_certificate_and_downloads_it(cloud: Cloud, secrets: Secrets) -> None:
    ada = await cloud.person()
    station, key = await cloud.claimed(ada), ec.generate_private_key(ec.SECP256R1())
    cloud.clock.move(60 * DAY)
    made = (await renew(station, key)).read(RenewAnswer)
    ada = await cloud.again(ada)
    newest, first = (await listed(ada, station)).certificates
    assert (newest.serial, newest.status, first.status) == (made.serial, "active", "active")
    assert newest.not_after_ms - newest.not_before_ms == (90 * DAY + 3600) * 1000
    reply = await ada.send("GET", f"{station.place}/certificates/{newest.serial}")
    assert reply.body.decode() == made.device_certificate
    leaf, intermediate = x509.load_pem_x509_certificates(reply.body)
    leaf.verify_directly_issued_by(intermediate)
    assert (await ada.send("GET", f"{station.place}/certificates/{'0' * 32}")).status == 404


# --- the list -----------------------------------------------------------------------------------------------


def openssl(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *command], cwd=folder, capture_output=True, text=True, check=False)


async def test_openssl_reads_the_list_and_refuses_whom_it_names(
    cloud: Cloud, secrets: Secrets, tmp_path: Path
) -> None:
    cloud.clock.now_ms = time.time_ns() // 1_000_000  # the authority was made by the machine's own clock
    ada = await cloud.person()
    good, bad = await cloud.claimed(ada), await cloud.claimed(ada)
    await revoke(ada, bad, reason="key_compromise")
    (tmp_path / "crl.pem").write_bytes(await crl_of(cloud))
    (tmp_path / "root.pem").write_text(secrets.authority.root_pem)
    (tmp_path / "mid.pem").write_text(secrets.authority.intermediate_pem)
    shown = openssl(tmp_path, "crl", "-in", "crl.pem", "-noout", "-text", "-CAfile", "mid.pem")
    assert shown.returncode == 0, shown.stderr
    assert "verify OK" in shown.stderr
    assert "Key Compromise" in shown.stdout
    moment = str(cloud.clock.now_ms // 1000 + 60)
    for station, accepted in ((good, True), (bad, False)):
        (tmp_path / "leaf.pem").write_text(station.certificate)
        chain = ("-CAfile", "root.pem", "-untrusted", "mid.pem", "-CRLfile", "crl.pem", "leaf.pem")
        done = openssl(tmp_path, "verify", "-attime", moment, "-crl_check", *chain)
        assert (done.returncode == 0) is accepted, done.stdout + done.stderr
        assert accepted or "certificate revoked" in done.stdout + done.stderr


async def test_the_list_is_good_for_a_week_and_made_anew_twice_a_day(cloud: Cloud) -> None:
    first = x509.load_pem_x509_crl(await crl_of(cloud))
    assert first.next_update_utc is not None
    assert (first.next_update_utc - first.last_update_utc).days == 7
    cloud.clock.move(REBUILD_MS / 1000 - 60)
    assert x509.load_pem_x509_crl(await crl_of(cloud)).last_update_utc == first.last_update_utc
    cloud.clock.move(120)
    later = x509.load_pem_x509_crl(await crl_of(cloud))
    assert later.last_update_utc > first.last_update_utc
    assert number(later) > number(first)


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


async def test_a_revocation_by_another_process_is_in_the_next_list(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    assert serials(await crl_of(cloud)) == set()
    await cloud.database.write(lambda c: revoke_all(c, "unspecified", cloud.clock.now_ms))
    (only,) = (await listed(ada, station)).certificates
    assert serials(await crl_of(cloud)) == {only.serial}


async def test_the_file_for_brokers_is_whole_at_any_moment(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    await revoke(ada, station)
    file = cloud.settings.crl
    (only,) = (await listed(ada, station)).certificates
    assert serials(file.read_bytes()) == {only.serial}
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.glob(".crl*")] == []


async def test_upkeep_makes_the_file_without_being_asked(cloud: Cloud) -> None:
    await cloud.app[keys.CRL].refresh()
    assert serials(cloud.settings.crl.read_bytes()) == set()


async def test_an_ended_certificate_leaves_the_list(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    await revoke(ada, station)
    cloud.clock.move(92 * DAY)
    assert serials(await crl_of(cloud)) == set()


async def test_a_superseded_certificate_is_in_the_list(cloud: Cloud) -> None:
    """A broker looks at nothing else: the old pair would be good there until it ends."""
    station = await cloud.claimed(await cloud.person())
    first = x509.load_pem_x509_certificates(station.certificate.encode())[0].serial_number
    station_key = ec.generate_private_key(ec.SECP256R1())
    await renew(station, station_key)
    assert serials(await crl_of(cloud)) == set()
    station.key = station_key
    await station.beaten()
    assert serials(await crl_of(cloud)) == {f"{first:032x}"}


# --- the drill ----------------------------------------------------------------------------------------------


async def test_after_revoking_everything_each_station_enrols_again_by_its_old_key(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    stations = [await cloud.claimed(ada), await cloud.claimed(ada), await cloud.claimed(eve)]
    shut_out = stations[2]
    await revoke(eve, shut_out)
    ended = await cloud.database.write(lambda c: revoke_all(c, "unspecified", cloud.clock.now_ms))
    assert ended == 2
    for station in stations[:2]:
        reply = await station.beat()
        assert (reply.status, reply.reason) == (403, "certificate_revoked")
        key = ec.generate_private_key(ec.SECP256R1())
        answer = (await renew(station, key)).read(RenewAnswer)
        assert answer.epoch == 2
        station.key = key
        config = (await station.send("GET", f"{station.place}/config")).read(ConfigAnswer)
        assert config.version == 2, "the same wishes, signed for the new epoch"
    assert (await renew(shut_out, ec.generate_private_key(ec.SECP256R1()))).reason == "key_revoked"


async def test_a_claimed_station_that_asks_again_after_the_drill_gets_a_new_certificate(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    await cloud.database.write(lambda c: revoke_all(c, "unspecified", cloud.clock.now_ms))
    again = await station.claim_with_card()
    assert again.status == 200
    station.take(again)
    assert (await station.beat()).status == 200


@pytest.mark.parametrize("status", ["suspended", "released"])
async def test_a_station_that_is_not_active_renews_nothing(cloud: Cloud, status: str) -> None:
    station = await cloud.claimed(await cloud.person())
    change = update(schema.device).values(status=status)
    await cloud.database.write(lambda c: c.execute(change).close())
    told = (await renew(station, ec.generate_private_key(ec.SECP256R1()))).reason
    assert told == ("released" if status == "released" else "not_active")
