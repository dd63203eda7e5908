"""How far each phone came on the setup hotspot, for a technician who asks why a page did not open."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from language.languages import Language
from portal import context
from portal.measures import duration
from portal.render import page
from portal.sentences import N_
from portal.view import FUNNEL, NOTHING, PhoneTrail, Sentence

LABELS = {
    "joined": N_("Came to the radio"),
    "lease": N_("Got an address"),
    "name": N_("Asked for a name"),
    "probe": N_("Looked for the internet"),
    "page": N_("Showed the page"),
    "form": N_("Chose a network"),
    "attempt": N_("Sent the password"),
    "result": N_("Saw the answer"),
}
"""What a person reads in place of a step's name."""

ADVICE = {
    "joined": N_(
        "It is on the radio but has got no address. If it stays so, forget the network on the phone and join "
        "again."
    ),
    "lease": N_(
        "It has an address but has asked for no name. Unlock it, and switch off a VPN or a DNS server of "
        "its own."
    ),
    "name": N_(
        "It asks for names but has not looked for the internet here. Switch its mobile data off, then open "
        "an address that begins with http://."
    ),
    "probe": N_(
        "It was told of the page but does not show it. Tap its message about signing in, or open an address "
        "that begins with http://."
    ),
    "page": N_("It shows the list of networks, but none is chosen yet."),
    "form": N_("A network is chosen, but its password is not sent yet."),
    "attempt": N_(
        "The station got the password, but nobody has read the answer. Join the same Wi-Fi again and load "
        "the page."
    ),
}
"""By the furthest step: what keeps the phone there, and what to do. After the last step there is nothing."""

WRONG_KEY = N_(
    "Wrong key: it was sent away. Forget the network on the phone and type the hotspot's key again."
)
"""In place of the advice for a phone that has joined and not more."""


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /phones`."""
    language = context.language(request)
    trails = context.of(request).station.phones()
    rows = [_row(trail, language) for trail in trails]
    return page(request, "phones.html", labels=[language.tell(LABELS[step]) for step in FUNNEL], rows=rows)


async def as_json(request: web.Request) -> web.StreamResponse:
    """`GET /api/phones`: the same for programs."""
    told = {"phones": [_facts(trail) for trail in context.of(request).station.phones()]}
    response = web.Response(text=json.dumps(told), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response


def furthest(trail: PhoneTrail) -> str:
    """The last step of the funnel that the phone took; empty if none."""
    return next((step for step in reversed(FUNNEL) if step in trail.steps), "")


def advice(trail: PhoneTrail) -> Sentence:
    """Why the phone stands where it stands and what to do; nothing for one that saw the answer."""
    reached = furthest(trail)
    text = WRONG_KEY if trail.wrong_key is not None and reached == "joined" else ADVICE.get(reached, "")
    return Sentence(text) if text else NOTHING


def _row(trail: PhoneTrail, language: Language) -> dict[str, Any]:
    return {
        "address": trail.address,
        "times": [duration(trail.steps[step], language) if step in trail.steps else "–" for step in FUNNEL],
        "advice": language.say(advice(trail)),
    }


def _facts(trail: PhoneTrail) -> dict[str, Any]:
    """Seconds by step, null for a step that was not taken."""
    return {
        "address": trail.address,
        "steps": {step: trail.steps.get(step) for step in FUNNEL},
        "reached": furthest(trail) or None,
        "wrong_key": trail.wrong_key,
        "advice": str(advice(trail)) or None,
    }
