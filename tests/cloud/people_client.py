"""A person without a browser: signs in by the form and reads pages, as a phone without JavaScript would."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

import aiohttp

_CSRF = re.compile(r'<meta name="csrf" content="([^"]+)">')
_VOID = {"meta", "link", "input", "img", "br", "path", "rect", "circle"}


def session() -> aiohttp.ClientSession:
    """A client that keeps cookies of numeric addresses too."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=30)
    )


async def sign_in(client: aiohttp.ClientSession, base: str, email: str, password: str) -> str:
    """Opens a session in the client's cookie jar; the CSRF token for what it changes."""
    form = {"email": email, "password": password, "next": "/account"}
    async with client.post(f"{base}/sign-in", data=form, headers={"Origin": base}) as response:
        text = await response.text()
    found = _CSRF.search(text)
    assert found, f"not signed in: {response.status} {visible(text)}"
    return found[1]


@dataclass
class Page:
    """A page as it came."""

    status: int
    address: str
    headers: Mapping[str, str]
    html: str

    @property
    def text(self) -> str:
        return visible(self.html)


class Browsing:
    """Reads pages and posts forms with a session's headers; redirects are followed."""

    def __init__(self, client: aiohttp.ClientSession, base: str, headers: Mapping[str, str]) -> None:
        self.client, self.base, self.headers = client, base, dict(headers)

    async def get(self, path: str, *, follow: bool = True) -> Page:
        return await self._page("GET", path, None, follow)

    async def post(self, path: str, *, follow: bool = True, **form: str) -> Page:
        form = {"csrf": self.headers.get("X-CSRF-Token", ""), **form}
        return await self._page("POST", path, form, follow)

    async def _page(self, method: str, path: str, form: dict[str, str] | None, follow: bool) -> Page:
        headers = {name: text for name, text in self.headers.items() if name != "X-CSRF-Token"}
        headers["Accept"] = "text/html"
        async with self.client.request(
            method, self.base + path, data=form, headers=headers, allow_redirects=follow
        ) as response:
            where = response.url.path_qs if follow else response.headers.get("Location", "")
            return Page(response.status, where, response.headers, await response.text(errors="replace"))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = self.hidden > 0 or "hidden" in dict(attrs) or tag in ("title", "style", "script")
        if inside and tag not in _VOID:
            self.hidden += 1

    def handle_endtag(self, tag: str) -> None:
        if self.hidden and tag not in _VOID:
            self.hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)


def visible(page: str) -> str:
    """What a person reads on a page, with single spaces."""
    parser = _Text()
    parser.feed(page)
    return " ".join(html.unescape(" ".join(parser.found)).split())
