"""A phone's browser without JavaScript: loads pages, reads their forms, fills them in and sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from urllib.parse import urljoin

import aiohttp


@dataclass
class Form:
    """One form of a page: where it goes and what it would send."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


_BLOCKS = frozenset({"p", "h1", "h2", "li", "dt", "dd", "td", "th", "div", "span", "button", "label", "br"})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.refresh: int | None = None
        self.language = self.direction = ""
        self._link: str | None = None
        self._link_text: list[str] = []
        self._select = ""
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self.text.append(" ")
        names = {name for name, _ in attrs}
        if tag == "html":
            self.language, self.direction = at.get("lang", ""), at.get("dir", "")
        elif tag == "meta" and at.get("http-equiv") == "refresh":
            self.refresh = int(at["content"].partition(";")[0])
        elif tag in ("script", "style", "title"):
            self._silent += 1
        elif tag == "a" and "href" in at:
            self._link, self._link_text = at["href"], []
        elif tag == "form":
            self.forms.append(Form(at.get("method", "get"), at["action"]))
        elif self.forms:
            self._control(tag, at, names)

    def _control(self, tag: str, at: dict[str, str], names: set[str]) -> None:
        fields = self.forms[-1].fields
        if tag == "input" and at.get("name") and at.get("type") != "checkbox":
            fields[at["name"]] = at.get("value", "")
        elif tag == "select":
            self._select = at["name"]
        elif tag == "option" and ("selected" in names or self._select not in fields):
            fields[self._select] = at["value"]
        elif tag == "button" and at.get("name"):
            self.forms[-1].buttons.append((at["name"], at["value"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "title"):
            self._silent -= 1
        elif tag == "a" and self._link is not None:
            self.links.append((self._link, " ".join("".join(self._link_text).split())))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self._link_text.append(data)
        if not self._silent:
            self.text.append(data)


@dataclass
class Page:
    """What the phone shows."""

    url: str
    status: int
    headers: dict[str, str]
    html: str
    forms: list[Form]
    links: list[tuple[str, str]]
    text: str
    refresh: int | None
    language: str
    direction: str

    @property
    def path(self) -> str:
        return "/" + self.url.split("/", 3)[3]

    def form(self, action: str) -> Form:
        return next(form for form in self.forms if form.action == action)

    def link(self, text: str) -> str:
        """Where the first link that contains `text` leads."""
        return next(href for href, label in self.links if text in label)


class Phone:
    """A browser that follows redirections and keeps no cookies unless asked to."""

    def __init__(self, base: str, *, cookies: bool = False, language: str = "en") -> None:
        jar = aiohttp.CookieJar(unsafe=True) if cookies else aiohttp.DummyCookieJar()
        self.base = base
        self.session = aiohttp.ClientSession(cookie_jar=jar, headers={"Accept-Language": language})

    async def __aenter__(self) -> Phone:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def open(self, path: str) -> Page:
        async with self.session.get(urljoin(self.base, path)) as response:
            return await self._page(response)

    async def follow(self, page: Page, text: str) -> Page:
        return await self.open(urljoin(page.url, page.link(text)))

    async def send(self, page: Page, action: str, **typed: str) -> Page:
        """Fill in the page's form for `action` with what is `typed`, and send it as a browser does."""
        form = page.form(action)
        headers = {"Origin": self.base, "Sec-Fetch-Site": "same-origin"}
        data = form.fields | typed
        async with self.session.post(urljoin(page.url, form.action), data=data, headers=headers) as response:
            return await self._page(response)

    async def _page(self, response: aiohttp.ClientResponse) -> Page:
        html = await response.text()
        reader = _Reader()
        reader.feed(html)
        return Page(
            url=str(response.url),
            status=response.status,
            headers=dict(response.headers),
            html=html,
            forms=reader.forms,
            links=reader.links,
            text=" ".join("".join(reader.text).split()),
            refresh=reader.refresh,
            language=reader.language,
            direction=reader.direction,
        )
