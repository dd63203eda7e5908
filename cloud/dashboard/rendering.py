"""Turns templates into answers: the jinja2 environment, static files by content hash, security headers.

What stands on a page is decided in the page modules and in `words`; nothing here knows a page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jinja2
from aiohttp import web
from jinja2.runtime import Context

from cloud.dashboard import measures, words
from cloud.security.sessions import known_person
from cloud.speaking import LANGUAGES, language_of
from language.languages import Language

HERE = Path(__file__).parent
STATIC = HERE / "static"

# Everything comes from this server; pictures and films of events too. No inline script or style anywhere.
# Older WebKit does not count a WebSocket to the same host as 'self', so it is named.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self' ws://{host} wss://{host}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class StaticFile:
    """A file that pages need, in memory: there are four, of a few kB. `version` changes with its bytes."""

    body: bytes
    kind: str
    version: str


def static_files(folder: Path = STATIC) -> dict[str, StaticFile]:
    """Every file of the folder by name."""
    found = {path: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _KINDS}
    return {
        path.name: StaticFile(body, _KINDS[path.suffix], hashlib.sha256(body).hexdigest()[:10])
        for path, body in found.items()
    }


def environment(static: Mapping[str, StaticFile]) -> jinja2.Environment:
    """The templates with escaping always on, undefined names refused and gettext in place."""
    sources = {path.name: path.read_text("utf-8") for path in (HERE / "templates").glob("*.html")}
    env = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    install: Callable[..., None] = env.install_gettext_callables  # type: ignore[attr-defined]
    install(_gettext, _ngettext, newstyle=True)
    env.globals["static"] = lambda name: f"/static/{name}?v={static[name].version}"
    env.filters.update(
        tr=_tr,
        bytes=_bytes,
        number=_number,
        grouped=words.grouped,
        iso=words.iso,
        utc=words.utc,
        told=_told,
    )
    return env


def _language(values: Context) -> Language:
    return cast(Language, values["language"])


@jinja2.pass_context
def _gettext(values: Context, message: str) -> str:
    return _language(values).messages.gettext(message)


@jinja2.pass_context
def _ngettext(values: Context, one: str, many: str, number: int) -> str:
    return _language(values).messages.ngettext(one, many, number)


@jinja2.pass_context
def _tr(values: Context, message: str) -> str:
    return _language(values).messages.gettext(message) if message else ""


@jinja2.pass_context
def _bytes(values: Context, count: float) -> str:
    return measures.size(count, _language(values))


@jinja2.pass_context
def _number(values: Context, count: float) -> str:
    return _language(values).number(count)


@jinja2.pass_context
def _told(values: Context, ms: int) -> str:
    return words.utc(ms, _language(values))


class Pages:
    """Templates and files, read once at the start: a page in the making never waits for the disk."""

    def __init__(self) -> None:
        self.static = static_files()
        env = environment(self.static)
        self._templates = {name: env.get_template(name) for name in env.list_templates()}

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """The text of one template."""
        return self._templates[template].render(context)


PAGES = web.AppKey("PAGES", Pages)


def page(request: web.Request, template: str, /, *, status: int = 200, **context: Any) -> web.Response:
    """One page for whoever is signed in, or for nobody."""
    language = language_of(request)
    shared = {
        "person": known_person(request),
        "path": request.path,
        "back": _back(request),
        "language": language,
        "languages": request.app[LANGUAGES],
        "live": None,
    }
    text = request.app[PAGES].render(template, {**shared, **context})
    told = headers(request) | {"Content-Language": language.tag, "Vary": "Accept-Language, Cookie"}
    return web.Response(text=text, content_type="text/html", status=status, headers=told)


def _back(request: web.Request) -> str:
    """Where a change of the language leads: to this page, if it can be asked for again."""
    resource = request.match_info.route.resource
    again = request.method == "GET" or any(one.method == "GET" for one in resource or ())
    return request.path_qs if again else "/"


def headers(request: web.Request) -> dict[str, str]:
    """What every page carries. Pages are personal, so no cache keeps them."""
    return {
        "Content-Security-Policy": _POLICY.format(host=request.host),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


async def static_file(request: web.Request) -> web.StreamResponse:
    """GET /static/{name}: the few files that the pages need, kept for a year under their version."""
    file = request.app[PAGES].static.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    fresh = request.query.get("v") == file.version
    cache = "public, max-age=31536000, immutable" if fresh else "no-cache"
    return web.Response(
        body=file.body,
        content_type=file.kind,
        charset="utf-8",
        headers={"Cache-Control": cache, "X-Content-Type-Options": "nosniff"},
    )
