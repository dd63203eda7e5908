"""Which language a person gets from the cloud, and how the choice is remembered.

Before somebody has signed in, a cookie remembers the choice; afterwards the account does, for mails as well.
Who never chose gets what the browser asks for.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from cloud.security.sessions import known_person
from language import languages
from language.languages import Language, Languages

LOCALES = Path(__file__).parent / "locales"
DOMAIN = "cloud"
COOKIE = "language"
YEAR_S = 365 * 86_400

LANGUAGES = web.AppKey("languages", Languages)


def load() -> Languages:
    """English and every catalogue of the cloud."""
    return languages.load(LOCALES, DOMAIN)


def language_of(request: web.Request) -> Language:
    """The language of the account, else of the cookie, else the one that the browser asks for."""
    known, person = request.app[LANGUAGES], known_person(request)
    for tag in (person.language if person else None, request.cookies.get(COOKIE)):
        if tag and (chosen := known.get(tag)) is not None:
            return chosen
    return known.choose(request.headers.get("Accept-Language", ""))


def remember(response: web.StreamResponse, language: Language, *, secure: bool) -> None:
    """Leaves the choice with the browser. It is no secret and opens nothing."""
    response.set_cookie(
        COOKIE, language.tag, max_age=YEAR_S, path="/", secure=secure, httponly=True, samesite="Lax"
    )
