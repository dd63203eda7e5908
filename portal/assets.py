"""The few static files, read once and named by their content, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent / "static"

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file with the hash of its content."""

    body: bytes
    content_type: str
    version: str


class Assets:
    """The stylesheet, the script and the icon."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {path.name: _read(path) for path in folder.iterdir() if path.suffix in _TYPES}

    def url(self, name: str) -> str:
        """Where `name` is served. Raises KeyError for an unknown one."""
        return f"/static/{name}?{self._assets[name].version}"

    async def serve(self, request: web.Request) -> web.Response:
        """`GET /static/{name}`."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        response = web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8")
        # A station may be one of many behind the same address: only the exact version may be kept.
        exact = request.query_string == asset.version
        response.headers["Cache-Control"] = "max-age=31536000, immutable" if exact else "no-cache"
        response.enable_compression()
        return response


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:12])
