"""Sends mail in the background: by SMTP, or into a folder on a development server. Knows no text.

Nobody waits for a mail: an answer that took longer where a mail is sent would tell who has an account. A mail
that cannot be sent is tried again for some minutes, then it is dropped and logged; a person can ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import smtplib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

from aiohttp import web

from cloud.errors import SettingsError
from cloud.security.vault import write_secret
from cloud.settings import Settings
from protocol.codes import ulid

log = logging.getLogger(__name__)

MOST_WAITING = 200
RETRIES_S: Sequence[float] = (5.0, 60.0, 300.0)
_TIMEOUT_S = 30
_GOODBYE_S = 5.0
FOLDER = "mail"


@dataclass(frozen=True, repr=False)
class Letter:
    """One mail. No representation: links in it open things."""

    to: str
    subject: str
    text: str


class Outbox:
    """What waits to be sent, and the task that sends it. `retries` are pauses in seconds."""

    def __init__(self, settings: Settings, retries: Sequence[float] = RETRIES_S) -> None:
        """Raises `SettingsError` for a password file that cannot be read."""
        self._settings, self._retries = settings, retries
        self._queue: asyncio.Queue[Letter] = asyncio.Queue(MOST_WAITING)
        self._password = _password(settings.smtp_password_file)

    @property
    def works(self) -> bool:
        """Whether there is any way for a mail to leave."""
        return bool(self._settings.smtp_host) or self._settings.development

    @property
    def folder(self) -> Path | None:
        """Where mails are written instead of being sent, on a development server without SMTP."""
        if self._settings.smtp_host or not self._settings.development:
            return None
        return self._settings.data_dir / FOLDER

    def post(self, letter: Letter) -> None:
        """Takes a mail; never waits and never fails. Without any way out it is dropped, and logged."""
        if not self.works:
            log.warning("a mail was not sent: smtp_host is not set")
            return
        try:
            self._queue.put_nowait(letter)
        except asyncio.QueueFull:
            log.error("a mail was dropped: %d wait already", MOST_WAITING)

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            letter = await self._queue.get()
            try:
                await self._deliver(letter)
            finally:
                self._queue.task_done()

    async def drained(self) -> None:
        """Returns when everything that waited was sent or given up."""
        await self._queue.join()

    async def _deliver(self, letter: Letter) -> None:
        for pause in (*self._retries, None):
            try:
                await asyncio.to_thread(self._send, letter)
                return
            except (OSError, smtplib.SMTPException) as error:
                final = pause is None or _is_final(error)
                log.log(
                    logging.ERROR if final else logging.WARNING,
                    "a mail could not be sent: %s",
                    type(error).__name__,
                )
                if final or pause is None:
                    return
            await asyncio.sleep(pause)

    def _send(self, letter: Letter) -> None:
        message = _message(letter, self._settings)
        if (folder := self.folder) is not None:
            folder.mkdir(exist_ok=True, mode=0o700)
            write_secret(folder / f"{ulid('', _now_ms())}.eml", message.as_bytes())
            return
        with self._connected() as server:
            if self._settings.smtp_user:
                server.login(self._settings.smtp_user, self._password)
            server.send_message(message)

    def _connected(self) -> smtplib.SMTP:
        settings, context = self._settings, ssl.create_default_context()
        place = (settings.smtp_host, settings.smtp_port)
        if settings.smtp_security == "tls":
            return smtplib.SMTP_SSL(*place, timeout=_TIMEOUT_S, context=context)
        server = smtplib.SMTP(*place, timeout=_TIMEOUT_S)
        if settings.smtp_security == "starttls":
            try:
                server.starttls(context=context)  # refused means not sent: never in clear by surprise
            except BaseException:
                server.close()
                raise
        return server


OUTBOX = web.AppKey("outbox", Outbox)


async def outbox_task(app: web.Application) -> AsyncIterator[None]:
    """Runs the outbox beside the application; at the end what waits gets a few seconds."""
    outbox = app[OUTBOX]
    task = asyncio.create_task(outbox.run(), name="outbox")
    yield
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await outbox.drained()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _message(letter: Letter, settings: Settings) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, letter.to
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def _is_final(error: Exception) -> bool:
    """Whether trying again is useless: the server said no for good (RFC 5321 §4.2.1)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"smtp_password_file cannot be read: {error}.") from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
