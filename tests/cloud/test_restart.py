"""What the store knows holds after a restart, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from pathlib import Path

from cloud.security.vault import Secrets
from tests.cloud.cloud_server import Person, running_cloud
from tests.cloud.people_parts import Clock


async def test_everything_said_about_a_claim_holds_after_a_restart(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> None:
    """The records, not the process, know how far a claim is; on both kinds of database."""
    async with running_cloud(tmp_path / "c", secrets, moved_clock, database_url) as cloud:
        ada, station = await cloud.person(), cloud.station()
        claim_id = await station.wait_on_card()
    async with running_cloud(tmp_path / "c", secrets, moved_clock, database_url) as cloud:
        station.session, station.base = cloud.session, cloud.base
        ada.session, ada.base = cloud.session, cloud.base
        headers = {**ada.headers, "Origin": cloud.base}
        ada = Person(ada.account_id, cloud.base, cloud.session, headers)
        assert await station.wait_on_card() == claim_id
        assert await ada.named(short_id=station.short_id, pin=station.pin) == claim_id
    async with running_cloud(tmp_path / "c", secrets, moved_clock, database_url) as cloud:
        station.session, station.base = cloud.session, cloud.base
        await station.finish(claim_id)
        assert (await station.beat()).status == 200
