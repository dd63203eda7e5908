"""A real station renews against a real cloud: when, cut at every step, and what a person is told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from appliance import renewal_notices
from appliance.identity.credentials import read_credentials
from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import KeyStore, load_or_create
from appliance.identity.tpm_keys import TpmKeys
from appliance.uplink.client import Unreachable
from appliance.uplink.renewal import LOOK_S, RETRY_S, renew_at
from cloud.store import schema
from protocol.clock import parse
from protocol.signature import thumbprint
from tests.appliance.key_stores import HoldingKeys
from tests.appliance.software_tpm import SoftwareTpm, needs_tpm
from tests.cloud.cloud_server import Cloud
from tests.cloud.renewing_station import NOBODY, Cut, Renewing, knife

DAY = 86_400


@pytest.fixture
async def claimed(cloud: Cloud, tmp_path: Path) -> AsyncIterator[Renewing]:
    station = Renewing(cloud, tmp_path / "identity")
    await station.claim()
    yield station
    await station.close()


async def reborn(old: Renewing, **how: object) -> Renewing:
    """The next life on the same disk, after `old` ended in whatever way."""
    await old.close()
    return Renewing(old.cloud, old.folder, store=old.store, **how)  # type: ignore[arg-type]


def pair_on_disk(folder: Path, store: KeyStore | None = None) -> tuple[str, str]:
    """(keyid of the key, keyid of the certificate) as the next start finds them."""
    credentials = read_credentials(folder / "credentials.json")
    assert credentials is not None
    public = x509.load_pem_x509_certificate(credentials.certificate.encode()).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return load_or_create(folder, store or FileKeys()).keyid, thumbprint(public)


# --- when ---------------------------------------------------------------------------------------------------


async def test_nothing_happens_before_two_thirds_of_the_life(cloud: Cloud, claimed: Renewing) -> None:
    cloud.clock.move(54 * DAY)
    station = await reborn(claimed)
    before = station.key.keyid
    assert await station.renewal.look() == LOOK_S
    assert station.key.keyid == before
    await station.close()


async def test_it_renews_around_two_thirds_of_the_life(cloud: Cloud, claimed: Renewing) -> None:
    cloud.clock.move(66 * DAY)
    station = await reborn(claimed)
    before, name = station.key.keyid, station.key.short_id
    assert await station.renewal.look() == LOOK_S
    assert station.key.keyid != before
    assert await station.beat() is None
    assert station.left_over() == []
    again = await reborn(station)
    assert (again.key.keyid, again.key.short_id) == (station.key.keyid, name), "people know it by its name"
    assert pair_on_disk(again.folder) == (again.key.keyid, again.key.keyid)
    assert await again.beat() is None
    await again.close()


async def test_the_moment_is_spread_over_a_tenth_of_the_life_and_stays(claimed: Renewing) -> None:
    current = claimed.credentials.current
    assert current is not None
    after = parse(current.renew_after).timestamp()
    drawn = [
        renew_at(msgspec.structs.replace(current, certificate=f"{number}")) - after for number in range(500)
    ]
    life = 90 * DAY + 3600
    assert -0.05 * life <= min(drawn) < -0.045 * life
    assert 0.045 * life < max(drawn) <= 0.05 * life
    assert abs(sum(drawn)) / len(drawn) < 0.005 * life
    assert renew_at(current) == renew_at(current)


@pytest.mark.parametrize("off", [3 * 365 * DAY, -90 * DAY, -1_790_000_000.0])
async def test_a_clock_that_nobody_vouches_for_decides_nothing(claimed: Renewing, off: float) -> None:
    station = await reborn(claimed, quality=NOBODY, off=off)
    assert not station.renewal.due()
    assert station.renewal.alert is None
    assert await station.beat() is None, "and its requests are signed with the corrected time"
    assert not station.renewal.due()
    await station.close()


async def test_a_hundred_days_offline_and_it_renews_by_itself(cloud: Cloud, claimed: Renewing) -> None:
    cloud.clock.move(100 * DAY)
    station = await reborn(claimed, quality=NOBODY, off=-100 * DAY)
    assert await station.beat() == "certificate_expired"
    assert await station.renewal.look() == LOOK_S
    assert await station.beat() is None
    await station.close()


# --- cut ----------------------------------------------------------------------------------------------------


async def test_a_cut_at_any_step_ends_with_a_working_pair(cloud: Cloud, claimed: Renewing) -> None:
    await cut_at_every_step(cloud, claimed)


@needs_tpm
async def test_a_cut_at_any_step_ends_with_a_working_pair_in_the_tpm(cloud: Cloud, tmp_path: Path) -> None:
    chip = SoftwareTpm()
    chip.start()
    station = Renewing(cloud, tmp_path / "identity", store=TpmKeys(chip.name))
    try:
        await station.claim()
        await cut_at_every_step(cloud, station)
    finally:
        chip.remove()
    left = sorted(path.name for path in station.folder.iterdir() if path.name.startswith("device"))
    assert left == ["device.tpm"], "no key ever went into a file"


async def cut_at_every_step(cloud: Cloud, claimed: Renewing) -> None:
    """Every fsync, rename, removal and request is once the last thing it does; then it starts again."""
    cloud.clock.move(66 * DAY)
    station, at, names = claimed, 0, []
    while True:
        at += 1
        station = await reborn(station)
        before = station.key.keyid
        with knife(station, at) as held, contextlib.suppress(Cut):
            await station.renewal.look()
        names.append(held.names[-1])
        if held.steps < at:
            break  # nothing was left to cut
        station = await reborn(station)
        assert await station.beat() in (None, "key_superseded")
        assert await station.renewal.look() == LOOK_S
        assert station.left_over() == []
        assert await station.beat() is None
        assert station.key.keyid != before or at == 1
        assert pair_on_disk(station.folder, station.store) == (station.key.keyid, station.key.keyid)
        cloud.clock.move(66 * DAY)
    await station.close()
    assert at > 20
    assert {name.partition(" ")[2] for name in names} >= {"fsync", "rename", "a request"}


async def test_a_disk_that_refuses_the_last_rename_is_asked_again(
    cloud: Cloud, claimed: Renewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.clock.move(66 * DAY)
    station = await reborn(claimed)
    replace = Path.replace

    def broken(path: Path, target: Path) -> Path:
        if path.name == "credentials.json.new":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", broken)
    assert await station.renewal.look() == RETRY_S
    monkeypatch.undo()
    assert await station.renewal.look() == LOOK_S
    assert pair_on_disk(station.folder) == (station.key.keyid, station.key.keyid)
    assert await station.beat() is None
    await station.close()


async def test_a_damaged_next_key_is_made_anew(cloud: Cloud, claimed: Renewing) -> None:
    cloud.clock.move(66 * DAY)
    station = await reborn(claimed)
    (station.folder / "device.key.new").write_bytes(b"-----BEGIN nothing")
    assert await station.renewal.look() == LOOK_S
    assert await station.beat() is None
    await station.close()


async def test_a_pair_that_waited_too_long_for_its_first_use_is_renewed_once_more(
    cloud: Cloud, claimed: Renewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: object) -> None:
        raise Cut

    cloud.clock.move(66 * DAY)
    station = await reborn(claimed)
    monkeypatch.setattr(station.renewal, "_use", cut)
    with contextlib.suppress(Cut):
        await station.renewal.look()
    assert station.left_over() == ["credentials.json.new", "device.key.new"]
    cloud.clock.move(120 * DAY)
    station = await reborn(station)
    await station.renewal.look()
    assert await station.beat() == "certificate_expired"
    await station.renewal.look()
    assert await station.beat() is None
    await station.close()


# --- the key in a TPM ---------------------------------------------------------------------------------------


@needs_tpm
async def test_a_station_with_its_key_in_a_tpm_claims_works_and_renews(cloud: Cloud, tmp_path: Path) -> None:
    chip = SoftwareTpm()
    chip.start()
    station = Renewing(cloud, tmp_path / "identity", store=TpmKeys(chip.name))
    try:
        await station.claim()
        assert await station.beat() is None
        told = await cloud.database.read(lambda c: c.execute(select(schema.claim.c.hardware)).scalar_one())
        assert told["key_storage"] == "tpm2"
        cloud.clock.move(66 * DAY)
        station, before = await reborn(station), station.key.keyid
        assert await station.renewal.look() == LOOK_S
        assert station.key.keyid != before
        assert await station.beat() is None
        assert pair_on_disk(station.folder, station.store) == (station.key.keyid, station.key.keyid)
    finally:
        await station.close()
        chip.remove()


async def test_a_chip_that_falls_silent_delays_a_renewal_and_loses_nothing(
    cloud: Cloud, tmp_path: Path
) -> None:
    keys = HoldingKeys()
    station = Renewing(cloud, tmp_path / "identity", store=keys)
    await station.claim()
    cloud.clock.move(66 * DAY)
    station = await reborn(station)
    before = station.key.keyid
    keys.silent = True
    assert await station.renewal.look() == RETRY_S
    with pytest.raises(Unreachable, match="does not answer") as told:
        await station.beat()
    assert told.value.fault == "key"
    keys.silent = False
    assert await station.renewal.look() == LOOK_S
    assert station.key.keyid != before
    assert await station.beat() is None
    await station.close()


# --- what a person is told ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "code"), [(82, None), (84, "CERT-001"), (91, "CERT-002")], ids=["eight days", "six days", "over"]
)
async def test_less_than_a_week_left_is_told(
    cloud: Cloud, claimed: Renewing, days: int, code: str | None
) -> None:
    cloud.clock.move(days * DAY)
    station = await reborn(claimed)
    assert [notice.code for notice in renewal_notices.notices(station.renewal)] == ([code] if code else [])
    await station.close()


async def test_too_late_is_told_until_the_owner_approved(cloud: Cloud, claimed: Renewing) -> None:
    cloud.clock.move(300 * DAY)
    station = await reborn(claimed)
    assert await station.renewal.look() == RETRY_S
    assert [notice.code for notice in renewal_notices.notices(station.renewal)] == ["CERT-003"]
    approve = update(schema.device_key).values(approved_until=cloud.clock.now_ms + DAY * 1000)
    await cloud.database.write(lambda c: c.execute(approve).close())
    assert await station.renewal.look() == LOOK_S
    assert renewal_notices.notices(station.renewal) == []
    await station.close()


async def test_a_revoked_station_is_told_so(cloud: Cloud, claimed: Renewing) -> None:
    cloud.clock.move(66 * DAY)
    station = await reborn(claimed)
    revoke = update(schema.device_key).values(status="revoked")
    await cloud.database.write(lambda c: c.execute(revoke).close())
    assert await station.renewal.look() == RETRY_S
    assert [notice.code for notice in renewal_notices.notices(station.renewal)] == ["CERT-004"]
    await station.close()
