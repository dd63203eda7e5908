"""Answers that are made piece by piece in worker threads, as large as they may be. Knows no resource."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiohttp import web


async def stream(request: web.Request, pieces: Iterator[bytes], kind: str, name: str) -> web.StreamResponse:
    """Sends the pieces as a file to be saved. What fails after the first byte cuts the connection, so that
    nobody takes a part for the whole."""
    first = await asyncio.to_thread(next, pieces, None)
    response = web.StreamResponse(
        headers={
            "Content-Type": kind,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
    )
    await response.prepare(request)
    try:
        while first is not None:
            await response.write(first)
            first = await asyncio.to_thread(next, pieces, None)
        await response.write_eof()
    except BaseException:
        if request.transport is not None:
            request.transport.abort()
        raise
    return response
