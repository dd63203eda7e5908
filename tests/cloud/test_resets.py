"""Lost passwords: a link by mail, good once, for half an hour, and no word on who has an account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import select, update

from cloud.mail.outbox import OUTBOX
from cloud.security.resets import LIFE_MS, MOST_OPEN, RESETS
from cloud.security.vault import Secrets
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_client import Browsing, Page, session, sign_in
from tests.cloud.people_parts import PASSWORD, Clock

NEW = "a brand new password"


class Mailing:
    """A development cloud, whose mails lie in a folder."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.pages = Browsing(cloud.session, cloud.base, {"Origin": cloud.base})

    async def links(self) -> list[str]:
        await self.cloud.app[OUTBOX].drained()
        folder = self.cloud.settings.data_dir / "mail"
        texts = [file.read_text() for file in sorted(folder.iterdir())] if folder.is_dir() else []
        texts = [text.replace("=\n", "").replace("=3D", "=") for text in texts]
        return [found[0] for text in texts if (found := re.search(r"/reset\?token=[\w-]+", text))]

    async def ask(self, email: str) -> Page:
        return await self.pages.post("/forgot", email=email)

    async def use(self, link: str, new: str = NEW) -> Page:
        return await self.pages.post("/reset", follow=False, token=link.partition("=")[2], new=new)


@pytest.fixture
async def mailing(tmp_path: Path, secrets: Secrets, moved_clock: Clock):  # type: ignore[no-untyped-def]
    async with running_cloud(tmp_path / "c", secrets, moved_clock, development=True) as cloud:
        yield Mailing(cloud)


async def test_a_link_opens_a_new_password_once_and_ends_every_session(mailing: Mailing) -> None:
    ada = await mailing.cloud.person("ada@example.org")
    page = await mailing.ask(" ADA@example.org")
    assert str(mailing.cloud.settings.data_dir / "mail") in page.text, "the page says where the mail is"
    (link,) = await mailing.links()
    assert "New password" in (await mailing.pages.get(link)).text
    done = await mailing.use(link)
    assert (done.status, done.address) == (303, "/sign-in?next=/account")
    assert (await ada.send("GET", "/v1/devices")).status == 401
    async with session() as client:
        await sign_in(client, mailing.cloud.base, "ada@example.org", NEW)
        with pytest.raises(AssertionError, match="not signed in"):
            await sign_in(client, mailing.cloud.base, "ada@example.org", PASSWORD)
    again = await mailing.use(link, "yet another password")
    assert (again.status, "used or is too old" in again.text) == (410, True)


async def test_the_page_says_the_same_whether_there_is_an_account(mailing: Mailing) -> None:
    await mailing.cloud.person("ada@example.org")
    known, unknown, nonsense = [
        await mailing.ask(email) for email in ("ada@example.org", "eve@example.org", "no address")
    ]
    assert known.status == unknown.status == nonsense.status == 200
    assert known.html == unknown.html == nonsense.html
    assert len(await mailing.links()) == 1


async def test_asking_writes_one_row_either_way_and_no_address(mailing: Mailing) -> None:
    ada = await mailing.cloud.person("ada@example.org")
    await mailing.ask("ada@example.org")
    await mailing.ask("eve@example.org")
    rows = await mailing.cloud.database.read(lambda c: c.execute(select(schema.audit)).all())
    asked = [row.subject for row in rows if row.action == "reset_asked"]
    assert asked == [ada.account_id, "-"]
    assert "eve@example.org" not in str(rows)


async def test_a_link_ends_after_half_an_hour_and_is_swept(mailing: Mailing) -> None:
    await mailing.cloud.person("ada@example.org")
    await mailing.ask("ada@example.org")
    (link,) = await mailing.links()
    mailing.cloud.clock.move(LIFE_MS / 1000 - 1)
    assert (await mailing.pages.get(link)).status == 200
    mailing.cloud.clock.move(1)
    assert (await mailing.pages.get(link)).status == 410
    assert (await mailing.use(link)).status == 410
    await mailing.cloud.app[RESETS].sweep()
    assert await mailing.cloud.database.read(lambda c: c.execute(select(schema.password_reset)).all()) == []


async def test_a_weak_password_is_named_and_uses_nothing_up(mailing: Mailing) -> None:
    await mailing.cloud.person("ada@example.org")
    await mailing.ask("ada@example.org")
    (link,) = await mailing.links()
    weak = await mailing.use(link, "short")
    assert (weak.status, "at least 10" in weak.text) == (400, True)
    assert (await mailing.use(link)).status == 303


async def test_using_one_link_ends_the_others(mailing: Mailing) -> None:
    await mailing.cloud.person("ada@example.org")
    await mailing.ask("ada@example.org")
    await mailing.ask("ada@example.org")
    first, second = await mailing.links()
    assert (await mailing.use(second)).status == 303
    assert (await mailing.use(first)).status == 410


async def test_a_mailbox_is_not_filled_by_somebody_else(mailing: Mailing) -> None:
    await mailing.cloud.person("ada@example.org")
    for _ in range(MOST_OPEN + 3):
        assert (await mailing.ask("ada@example.org")).status == 200
    assert len(await mailing.links()) == MOST_OPEN


async def test_asking_is_limited_by_the_network_that_asks(mailing: Mailing) -> None:
    statuses = [(await mailing.ask(f"x{number}@example.org")).status for number in range(11)]
    assert statuses == [200] * 10 + [429]


async def test_the_store_has_only_the_hash_of_a_link(mailing: Mailing) -> None:
    await mailing.cloud.person("ada@example.org")
    await mailing.ask("ada@example.org")
    (link,) = await mailing.links()
    rows = await mailing.cloud.database.read(lambda c: c.execute(select(schema.password_reset)).all())
    assert link.partition("=")[2] not in str(rows)


async def test_a_suspended_account_gets_no_link(mailing: Mailing) -> None:
    ada = await mailing.cloud.person("ada@example.org")
    mine = schema.account.c.id == ada.account_id
    await mailing.cloud.database.write(
        lambda c: c.execute(update(schema.account).where(mine).values(suspended=1)).close()
    )
    assert (await mailing.ask("ada@example.org")).status == 200
    assert await mailing.links() == []


@pytest.mark.parametrize("path", ["/forgot", "/reset"])
async def test_another_site_cannot_ask_or_choose(mailing: Mailing, path: str) -> None:
    foreign = Browsing(mailing.cloud.session, mailing.cloud.base, {"Origin": "https://evil.example"})
    assert (await foreign.post(path, email="a@example.org", token="x", new=NEW)).status == 403


async def test_a_cloud_without_mail_says_so(cloud: Cloud) -> None:
    page = await Browsing(cloud.session, cloud.base, {}).get("/forgot")
    assert "sends no mail" in page.text
    assert 'action="/forgot"' not in page.html
