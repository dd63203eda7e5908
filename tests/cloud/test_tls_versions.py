"""Which versions of TLS the cloud speaks: 1.2 and 1.3, and none of the older ones."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloud.security.vault import Secrets
from cloud.settings import load
from cloud.tls import server_context
from tests.netfaults.certificates import make
from tests.tls_versions import GOOD, OLD, speaking


def listener(folder: Path, secrets: Secrets) -> ssl.SSLContext:
    """The context that the cloud listens with."""
    settings = load(None, {}, {"data_dir": folder, "tls_certificate": folder / "good.pem"})
    context = server_context(settings, secrets.authority)
    assert context is not None
    return context


@asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A listener on loopback that closes what it accepted; its port."""

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def spoken(port: int, client: ssl.SSLContext) -> str:
    """The version that both agreed on. Raises `OSError` when they did not."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
    version = str(writer.get_extra_info("ssl_object").version())
    writer.close()
    return version


def client(trusted: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    return speaking(ssl.create_default_context(cafile=trusted), version)


@pytest.mark.parametrize("version", OLD, ids=lambda each: each.name)
async def test_the_cloud_refuses_old_versions(
    tmp_path: Path, secrets: Secrets, version: ssl.TLSVersion
) -> None:
    trusted = make(tmp_path, "localhost")
    context = listener(tmp_path, secrets)
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that the version is the only reason that is left
    async with listening(context) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await spoken(port, client(trusted, version))


@pytest.mark.parametrize("version", OLD, ids=lambda each: each.name)
async def test_the_client_of_these_tests_does_speak_old_versions(
    tmp_path: Path, secrets: Secrets, version: ssl.TLSVersion
) -> None:
    trusted = make(tmp_path, "localhost")
    async with listening(speaking(listener(tmp_path, secrets), version)) as port:
        assert await spoken(port, client(trusted, version)) == version.name.replace("_", ".")


@pytest.mark.parametrize("version", GOOD, ids=lambda each: each.name)
async def test_the_cloud_speaks_present_versions(
    tmp_path: Path, secrets: Secrets, version: ssl.TLSVersion
) -> None:
    trusted = make(tmp_path, "localhost")
    async with listening(listener(tmp_path, secrets)) as port:
        assert await spoken(port, client(trusted, version)) == version.name.replace("_", ".")
