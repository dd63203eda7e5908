"""Mail: it leaves by SMTP or lies in a folder, is tried again, and never holds anybody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from cloud.errors import SettingsError
from cloud.mail.letters import invited
from cloud.mail.outbox import MOST_WAITING, Letter, Outbox
from cloud.settings import load
from language.languages import Language
from tests.cloud.smtp_server import MailServer, mail_server

LETTER = Letter("bob@example.org", "Grüße", "A text — with more than ASCII.\n")


def settings(folder: Path, **changes: Any) -> Any:
    return load(None, {}, {"data_dir": folder, "public_url": "https://cloud.example.org", **changes})


@asynccontextmanager
async def sending(folder: Path, **changes: Any) -> AsyncIterator[Outbox]:
    outbox = Outbox(settings(folder, **changes), retries=(0.01, 0.01))
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()


def by(server: MailServer) -> dict[str, Any]:
    return {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}


async def test_a_mail_arrives_as_it_was_written(tmp_path: Path) -> None:
    async with mail_server() as server, sending(tmp_path, **by(server)) as outbox:
        outbox.post(LETTER)
        await outbox.drained()
    (mail,) = server.mails
    assert mail["To"] == server.recipients[0] == "bob@example.org"
    assert mail["From"] == "no-reply@cloud.example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().replace("\r\n", "\n").strip() == LETTER.text.strip()


@pytest.mark.parametrize(
    ("answers", "arrived", "sessions"),
    [([451], 1, 2), ([451, 451], 1, 3), ([451, 451, 451], 0, 3), ([550], 0, 1)],
    ids=["one busy answer", "two", "given up", "a final no"],
)
async def test_what_is_tried_again(tmp_path: Path, answers: list[int], arrived: int, sessions: int) -> None:
    async with mail_server() as server, sending(tmp_path, **by(server)) as outbox:
        server.answers = answers
        outbox.post(LETTER)
        await outbox.drained()
        assert (len(server.mails), server.sessions) == (arrived, sessions)
        outbox.post(LETTER)
        await outbox.drained()
        assert len(server.mails) == arrived + 1, "one that failed holds up no other"


async def test_a_server_that_cannot_encrypt_gets_nothing(tmp_path: Path) -> None:
    async with mail_server() as server:
        changes = by(server) | {"smtp_security": "starttls"}
        async with sending(tmp_path, **changes) as outbox:
            outbox.post(LETTER)
            await outbox.drained()
        assert (server.mails, server.recipients) == ([], [])


async def test_a_server_that_is_not_there_is_logged_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with sending(tmp_path, smtp_host="127.0.0.1", smtp_port=1, smtp_security="none") as outbox:
        outbox.post(LETTER)
        await outbox.drained()
    assert "could not be sent" in caplog.text
    assert "bob@example.org" not in caplog.text


async def test_a_development_server_writes_mails_into_a_private_folder(tmp_path: Path) -> None:
    async with sending(tmp_path, development=True) as outbox:
        outbox.post(LETTER)
        await outbox.drained()
        assert outbox.folder == tmp_path / "mail"
    (file,) = (tmp_path / "mail").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert (mail["Subject"], mail.get_content()) == (LETTER.subject, LETTER.text)


async def test_posting_never_waits_and_never_fails(tmp_path: Path) -> None:
    outbox = Outbox(settings(tmp_path, development=True))
    for _ in range(MOST_WAITING + 5):
        outbox.post(LETTER)
    silent = Outbox(settings(tmp_path))
    silent.post(LETTER)
    assert (silent.works, silent.folder) == (False, None)


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="smtp_password_file"):
        Outbox(settings(tmp_path, smtp_host="x", smtp_password_file=tmp_path / "nothing"))


def test_an_invitation_says_who_what_and_where() -> None:
    letter = invited(Language("en"), "bob@example.org", "Ada", "Roof", "technician", "https://c.example.org")
    assert "Ada" in letter.text
    assert "“Roof”" in letter.subject
    assert "https://c.example.org/" in letter.text
    assert "orders and settings" in letter.text


async def test_a_name_with_a_line_break_becomes_no_header(tmp_path: Path) -> None:
    async with sending(tmp_path, development=True) as outbox:
        outbox.post(Letter("bob@example.org", "a\r\nBcc: eve@example.org", "x"))
        outbox.post(LETTER)
        await outbox.drained()
    mails = [message_from_bytes(file.read_bytes()) for file in (tmp_path / "mail").iterdir()]
    assert all(mail["Bcc"] is None for mail in mails)
    assert LETTER.to in [mail["To"] for mail in mails]
