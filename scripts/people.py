"""The people of the journeys: a phone without JavaScript, and an owner with a browser that keeps cookies."""

from __future__ import annotations

import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import msgspec


@dataclass
class Form:
    """One form of a page, with the values it was sent with."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class Page(HTMLParser):
    """A page as a simple browser reads it: text, links and forms; scripts and styles are ignored."""

    def __init__(self, url: str, status: int, html: str) -> None:
        super().__init__()
        self.url, self.status, self.html = url, status, html
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.refresh: str | None = None
        self._text: list[str] = []
        self._open: Form | None = None
        self._skip = 0
        self.feed(html)
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag in ("script", "style"):
            self._skip += 1
        elif tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.refresh = given.get("content", "")
        elif tag in ("input", "button", "select", "textarea") and given.get("name") and self._open:
            self._open.names.add(given["name"])
            checkable = given.get("type") in ("checkbox", "radio") and "checked" not in given
            if tag == "input" and not checkable:
                self._open.values[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._skip -= 1
        elif tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self._text.append(data)

    def form(self, action: str) -> Form:
        """The form that goes to `action` (the path, without a query)."""
        for form in self.forms:
            if urllib.parse.urlsplit(urllib.parse.urljoin(self.url, form.action)).path == action:
                return form
        raise AssertionError(f"no form to {action} on {self.url}: {[form.action for form in self.forms]}")


class Browser:
    """Follows redirects, keeps cookies, runs no script."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=None))
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> Page:
        return self._open(urllib.request.Request(urllib.parse.urljoin(self.base, path)))

    def send(self, page: Page, action: str, **values: str) -> Page:
        """Fills the form that goes to `action` and sends it."""
        form = page.form(action)
        unknown = set(values) - form.names
        assert not unknown, f"the form to {action} has no fields {unknown}, only {form.names}"
        body = urllib.parse.urlencode(form.values | values).encode()
        target = urllib.parse.urljoin(page.url, form.action)
        return self._open(urllib.request.Request(target, body, {"Origin": self.base}))

    def json(self, path: str, body: Any = None, **headers: str) -> Any:
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(urllib.parse.urljoin(self.base, path), data, headers)
        request.add_header("Origin", self.base)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        with self._opener.open(request, timeout=30) as answer:
            return msgspec.json.decode(answer.read())

    def bytes(self, path: str) -> bytes:
        with self._opener.open(urllib.parse.urljoin(self.base, path), timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def status(self, path: str) -> int:
        try:
            with self._opener.open(urllib.parse.urljoin(self.base, path), timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Page(answer.url, answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Page(error.url or request.full_url, error.code, error.read().decode())


class Owner(Browser):
    """Signed in at the cloud."""

    def __init__(self, base: str, account: tuple[str, str]) -> None:
        super().__init__(base)
        page = self.send(self.get("/sign-in"), "/sign-in", email=account[0], password=account[1])
        assert page.status == 200, page.text

    def stations(self) -> list[dict[str, Any]]:
        found = self.json("/v1/devices")
        return list(found["devices"] if isinstance(found, dict) else found)

    def events(self, device_id: str) -> list[dict[str, Any]]:
        """All observations, without the station's own notes, newest first."""
        found = self.json(f"/v1/devices/{device_id}/events?limit=200")
        rows = found["events"] if isinstance(found, dict) else found
        return [row for row in rows if not row["event_type"].startswith("station_")]
