"""What holds for every page: nothing inline, nothing foreign, every word translatable, every page guarded."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from aiohttp import web
from babel.messages.extract import extract
from jinja2.ext import GETTEXT_FUNCTIONS, babel_extract

from cloud.dashboard import audit_words, claim_view, errors, rendering, station_view, words
from cloud.dashboard.rendering import STATIC, environment, static_files
from cloud.errors import StoreError
from cloud.keys import FLEET
from tests.cloud.cloud_server import Cloud
from tests.cloud.people_client import Browsing

TEMPLATES = sorted(path.name for path in (rendering.HERE / "templates").iterdir())


class Elements(HTMLParser):
    """Every start tag of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def every_page(cloud: Cloud) -> dict[str, str]:
    """Each kind of page with something on it, for its owner."""
    person = await cloud.person()
    pages = Browsing(cloud.session, cloud.base, person.headers)
    station = await cloud.claimed(person)
    event = station.event(b"picture")
    await station.reported(event)
    await station.upload(b"picture")
    await station.beaten("operational")
    waiting = await pages.post("/stations/add", short_id="BCDFGH", pin="123456")
    found = {"code": await pages.post("/stations/code"), "claim": waiting}
    for path in (
        "/",
        "/stations/add",
        "/claim",
        "/account",
        "/account/log",
        "/account/tokens",
        "/nothing",
        f"/stations/{station.device_id}",
        f"/stations/{station.device_id}/people",
        f"/stations/{station.device_id}/events/{event.event_id}",
    ):
        found[path] = await pages.get(path)
    stranger = Browsing(cloud.session, cloud.base, {})
    for path in ("/forgot", "/reset"):
        found[path] = await stranger.get(path)
    found["sign-in"] = await stranger.get("/sign-in")
    found["landing"] = await stranger.get("/claim")
    for page in found.values():
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
    return {name: page.html for name, page in found.items()}


async def test_nothing_on_a_page_is_inline_or_from_elsewhere(cloud: Cloud) -> None:
    for name, page in (await every_page(cloud)).items():
        for tag, attributes in Elements(page).found:
            assert tag not in ("style", "iframe", "object", "embed", "base"), (name, tag)
            assert "style" not in attributes, (name, tag)
            assert not [one for one in attributes if one.startswith("on")], (name, tag, attributes)
            if tag == "script":
                assert (attributes.get("src") or "").startswith("/static/"), name
            for address in ("src", "href", "action"):
                target = attributes.get(address)
                assert target is None or target.startswith(("/", "#")), (name, tag, target)
                assert target is None or not target.startswith("//"), (name, tag, target)


async def test_every_field_has_a_label_and_every_picture_a_text(cloud: Cloud) -> None:
    for name, page in (await every_page(cloud)).items():
        elements = Elements(page).found
        labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
        headings = [tag for tag, _ in elements if tag == "h1"]
        assert headings == ["h1"], name
        for tag, attributes in elements:
            if tag == "input" and attributes.get("type") != "hidden":
                assert attributes.get("id") in labelled, (name, attributes)
            if tag == "img":
                assert "alt" in attributes, (name, attributes)
            if tag == "svg":
                assert attributes.get("aria-hidden") or attributes.get("aria-label"), (name, attributes)
        ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
        assert len(ids) == len(set(ids)), name


async def test_every_form_that_changes_something_carries_the_token(cloud: Cloud) -> None:
    for name, page in (await every_page(cloud)).items():
        for form in re.findall(r"<form.*?</form>", page, re.DOTALL):
            if name == "landing" and 'action="/language"' in form:
                continue  # nobody is signed in, and a cookie is all that changes
            assert 'method="post"' in form, name
            assert 'name="csrf"' in form or name in ("sign-in", "/forgot", "/reset"), name


API = ("/v1", "/api/", "/health", "/.well-known/", "/openapi", "/device-realtime", "/time", "/crl")


def page_routes(app: web.Application) -> list[tuple[str, str]]:
    return sorted(
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and not route.resource.canonical.startswith(API)
        and route.method != "HEAD"
    )


PUBLIC = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/language"),
    ("GET", "/forgot"),
    ("POST", "/forgot"),
    ("GET", "/reset"),
    ("POST", "/reset"),
    ("GET", "/claim"),
    ("GET", "/static/{name}"),
}


def filled(path: str) -> str:
    """A path with something in each of its places."""
    return re.sub(r"\{\w+\}", "x1", path)


async def test_every_other_page_is_behind_the_door(cloud: Cloud) -> None:
    await cloud.person()
    stranger = Browsing(cloud.session, cloud.base, {"Origin": cloud.base})
    guarded = [route for route in page_routes(cloud.app) if route not in PUBLIC]
    assert len(guarded) >= 12
    for method, path in guarded:
        path = filled(path)
        page = await (stranger.get if method == "GET" else stranger.post)(path, follow=False)
        assert page.status == 303, (method, path)
        assert page.address.startswith("/sign-in"), (method, path)


async def test_every_changing_page_refuses_a_form_without_the_token(cloud: Cloud) -> None:
    person = await cloud.person()
    pages = Browsing(cloud.session, cloud.base, person.headers)
    for method, path in page_routes(cloud.app):
        if method == "POST" and (method, path) not in PUBLIC:
            page = await pages.post(filled(path), csrf="")
            assert page.status == 403, path
            assert "This came from somewhere else" in page.text


# --- files --------------------------------------------------------------------------------------------------


def test_the_stylesheet_is_smaller_than_8_kb() -> None:
    assert (STATIC / "style.css").stat().st_size < 10_000


def test_the_stylesheet_names_no_other_file() -> None:
    assert not re.search(r"url\(|@import", (STATIC / "style.css").read_text())


def palettes() -> list[dict[str, str]]:
    """The colours by name, light and then dark."""
    roots = re.findall(r":root \{(.*?)\}", (STATIC / "style.css").read_text(), re.DOTALL)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", root)) for root in roots]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


TEXTS = ("ink", "soft", "accent", "running", "working", "failed", "waiting", "unknown")
PAIRS = [(text, ground) for text in TEXTS for ground in ("card", "bg")] + [("on", "accent")]


@pytest.mark.parametrize("palette", palettes(), ids=("light", "dark"))
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_what_must_be_read_in_sunlight_has_contrast_7(
    palette: dict[str, str], text: str, ground: str
) -> None:
    one, other = sorted((luminance(palette[text]), luminance(palette[ground])))
    assert (other + 0.05) / (one + 0.05) >= 7


async def test_static_files_are_kept_under_their_hash_only(cloud: Cloud) -> None:
    stranger = Browsing(cloud.session, cloud.base, {})
    page = await stranger.get("/sign-in")
    address = re.search(r'href="(/static/style\.css\?v=\w{10})"', page.html)
    assert address
    kept = await stranger.get(address[1])
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.headers["Content-Type"].startswith("text/css")
    for query in ("", "?v=", "?v=0123456789"):
        assert (await stranger.get(f"/static/style.css{query}")).headers["Cache-Control"] == "no-cache"
    script = await stranger.get("/static/live.js")
    assert script.headers["Content-Type"].startswith(("text/javascript", "application/javascript"))


@pytest.mark.parametrize("name", ["..%2Frendering.py", "%2e%2e/rendering.py", "style.css%00", "nothing.js"])
async def test_nothing_else_is_served_from_the_disk(cloud: Cloud, name: str) -> None:
    page = await Browsing(cloud.session, cloud.base, {}).get(f"/static/{name}")
    assert page.status == (400 if "%00" in name else 404)
    assert "import" not in page.html


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "status", "sentence"),
    [
        (StoreError("The store failed."), 503, "The cloud cannot reach its storage just now."),
        (RuntimeError("unexpected"), 500, "It was not your fault, and it is in our log."),
    ],
)
async def test_a_failure_is_a_page_with_a_reference_and_no_detail(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, sentence: str
) -> None:
    person = await cloud.person()

    async def failing(_account_id: str) -> None:
        raise failure

    monkeypatch.setattr(cloud.app[FLEET], "list", failing)
    page = await Browsing(cloud.session, cloud.base, person.headers).get("/")
    assert page.status == status
    assert sentence in page.text
    assert page.headers["X-Request-Id"] in page.text
    assert str(failure.args[0]) not in page.text


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 418, 429, 500, 503])
def test_every_status_has_three_sentences(status: int) -> None:
    assert all(errors._TEXTS.get(status, errors._UNKNOWN))


# --- translation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_word_of_a_template_can_be_translated(name: str) -> None:
    source = (rendering.HERE / "templates" / name).read_text()
    plain = "".join(text for _, kind, text in environment(static_files()).lex(source) if kind == "data")
    markup = r"<code.*?</code>|<[^>]*>|&\w+;| [a-z-]+=\"[^\"]*\"| autofocus"
    words_left = re.findall(r"[A-Za-z]{2,}", re.sub(markup, "", plain, flags=re.DOTALL))
    assert not words_left
    attributes = re.findall(r'(?:alt|title|placeholder|aria-label)="([^"{]*)"', source)
    assert not [text for text in attributes if re.search(r"[a-z]{2,}", text)]


def extracted() -> set[str]:
    """What gettext's tools find in templates and modules."""
    found: list[object] = []
    for name in TEMPLATES:
        with (rendering.HERE / "templates" / name).open("rb") as file:
            found += [message for _, _, message, _ in babel_extract(file, GETTEXT_FUNCTIONS, (), {})]
    for path in rendering.HERE.glob("*.py"):
        with path.open("rb") as file:
            found += [message for _, message, _, _ in extract("python", file, keywords={"N_": None})]
    plurals = [text for message in found if isinstance(message, tuple) for text in message]
    return {text for text in found + plurals if isinstance(text, str)}


def test_every_text_that_a_page_takes_from_the_code_reaches_the_translators() -> None:
    known = extracted()
    assert {"Add your first station", "%(num)s message waits to be sent"} <= known
    said = {
        *words._STATES.values(),
        *words._ADVICE.values(),
        *station_view._LINKS.values(),
        *claim_view.STEPS,
        *audit_words.ACTIONS.values(),
    }
    said |= {label for _, label in words._BREAKERS.values()}
    said |= {text for three in errors._TEXTS.values() for text in three}
    said |= {text for pair in claim_view._HEADLINES for text in pair}
    said |= {text for refused in claim_view._REFUSED.values() for text in refused[:2]}
    assert said - known == set()
