"""A mail server for tests: speaks enough SMTP on a real socket, keeps what it gets, and fails on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message


@dataclass
class MailServer:
    """`answers` are codes for the next mails, 250 when there are none left."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    sessions: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        await self._say(writer, 220)
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                await self._say(writer, 354)
                body = await reader.readuntil(b"\r\n.\r\n")
                code = self.answers.pop(0) if self.answers else 250
                if code == 250:
                    self.mails.append(message_from_bytes(body[:-5]))
                await self._say(writer, code)
            elif word == b"QUIT":
                await self._say(writer, 221)
                break
            else:
                if word == b"RCPT":
                    self.recipients.append(line.decode().split("<")[1].split(">")[0])
                await self._say(writer, 502 if word == b"STAR" else 250)
        writer.close()

    async def _say(self, writer: asyncio.StreamWriter, code: int) -> None:
        writer.write(f"{code} test\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """On any free port of this machine."""
    made = MailServer()
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
