"""The sentences of error codes, in English, which is also their message id; no logic but looking them up.

`N_` only marks a string for extraction, `P_` one with its plural. NET-1xx is what can be seen wrong in a form
before the radio is touched, WEB-xxx is about the page itself. How a try at the radio ended (NET-0xx) the
station says itself.
"""

from __future__ import annotations

from portal.view import Refusal, Sentence


def N_(text: str) -> str:
    """Marks a sentence for translation."""
    return text


def P_(one: str, many: str) -> tuple[str, str]:
    """Marks a sentence about a number, which some languages say in six ways."""
    return one, many


FORM: dict[str, tuple[str, str]] = {
    "NET-101": (N_("The network's name is missing."), N_("Type it exactly as it stands on your router.")),
    "NET-102": (
        N_("This network name is too long."),
        N_("A name has at most 32 letters; accents and emoji count as two to four."),
    ),
    "NET-103": (N_("The network's name arrived damaged."), N_("Choose the network from the list again.")),
    "NET-104": (N_("This network needs a password."), N_("It often stands on a label on the router.")),
    "NET-105": (
        N_("This password is too short: %(count)s of at least 8 characters."),
        N_("A Wi-Fi password has 8 to 63 characters."),
    ),
    "NET-106": (
        N_("This password is too long: %(count)s characters, where 63 are the most."),
        N_("A Wi-Fi password has 8 to 63 characters, or exactly 64 digits and letters from a to f."),
    ),
    "NET-107": (
        N_("This password contains %(characters)s, which phones like to put in place of plain characters."),
        N_("Type it again with the plain ones, or tick the box if your password really has them."),
    ),
    "NET-108": (
        N_("This begins or ends with a space, which phones like to add."),
        N_("Type it again without the space, or tick the box if it belongs there."),
    ),
    "NET-109": (
        N_("This password does not fit this old kind of network (WEP)."),
        N_("A WEP password has 5 or 13 characters, or 10 or 26 digits and letters from a to f."),
    ),
    "NET-110": (
        N_("This password contains a character that cannot be typed on a router."),
        N_("Type it by hand instead of pasting it."),
    ),
    "NET-112": (
        N_("This does not look like a claim code."),
        N_("Copy the whole code from your account, or leave the field empty."),
    ),
    "NET-124": (
        N_("This network asks for WPA3, which the station's radio cannot do."),
        N_("Set the router to WPA2 and WPA3 (mixed mode), or choose another network."),
    ),
    "NET-114": (
        N_("The user name is missing or cannot be used."),
        N_("Type it as whoever runs the network gave it to you, often like an e-mail address."),
    ),
    "NET-115": (
        N_("This is not a certificate."),
        N_("Paste the whole text, from `BEGIN CERTIFICATE` to `END CERTIFICATE`, and no private key."),
    ),
    "NET-116": (
        N_("This is not the name of a server."),
        N_("Type the end of its name, like `radius.example.org`."),
    ),
    "NET-117": (
        N_("The station cannot check that this network is the real one."),
        N_("Give the server's name or the certificate, or tick the box to connect without checking."),
    ),
    "NET-118": (
        N_("This is not an address of a station."),
        N_("Write it with its prefix, like `192.168.1.50/24`."),
    ),
    "NET-119": (
        N_("The router's address must lie in %(network)s and be another one than the station's."),
        N_("It stands on the label or the page of the router, often like `192.168.1.1`."),
    ),
    "NET-121": (
        N_("These are not addresses of DNS servers."),
        N_("Write up to three addresses like `192.168.1.1`, with spaces between, or leave it empty."),
    ),
    "NET-113": (
        N_("The key of the station is missing or wrong."),
        N_("It stands on the station's display or label; if you chose it yourself, in your notes."),
    ),
    "NET-122": (N_("This is no country that the station knows."), N_("Choose one from the list.")),
}

WEB: dict[str, tuple[str, str]] = {
    "WEB-001": (
        N_("This page was open for too long, or your phone got a new address."),
        N_("Nothing was lost but the password. Please send it again."),
    ),
    "WEB-002": (
        N_("This request did not come from the station's own page, so it was not carried out."),
        N_("Open the station's page and try again there."),
    ),
    "WEB-003": (
        N_("That was tried many times in a short while."),
        N_("Wait %(seconds)s seconds and try again."),
    ),
    "WEB-004": (N_("There is no such page here."), N_("Go to the start page.")),
    "WEB-005": (N_("That was more than this page takes."), N_("Go back and send less.")),
    "WEB-006": (
        N_("Something went wrong inside the station. It goes on working and has noted the details."),
        N_("Try again. If it happens again, the log on the status page helps to find the cause."),
    ),
    "WEB-007": (N_("This page cannot be used in that way."), N_("Go to the start page.")),
    "WEB-008": (
        N_("The station cannot do this right now."),
        N_("Wait a moment and try again."),
    ),
    "WEB-009": (
        N_("This is not the technician's PIN."),
        N_("It has six digits. `meteor-appliance pin` on the station shows it, and so does its display."),
    ),
    "WEB-010": (
        N_("Too many wrong PINs were tried. No PIN is looked at now."),
        N_("Minutes to wait: %(minutes)s. `meteor-appliance pin --new` on the station ends the wait."),
    ),
    "WEB-011": (
        N_("The page was open for more than 15 minutes, or your device got a new address."),
        N_("Type the PIN again. Nothing was done."),
    ),
    "WEB-012": (
        N_("This is not the short id of this station. Nothing was removed."),
        N_("It stands at the top of this page; type it as it stands there."),
    ),
}

TITLES: dict[str, str] = {
    "uninitialized": N_("Starting"),
    "initializing": N_("Starting"),
    "setup": N_("Waiting for a network"),
    "configuring": N_("Waiting for a network"),
    "connecting": N_("Connecting"),
    "network_ready": N_("Waiting to be claimed"),
    "claiming": N_("Being claimed"),
    "activating": N_("Almost done"),
    "operational": N_("Running"),
    "reconnecting": N_("Looking for its network"),
    "updating": N_("Updating itself"),
    "error": N_("Needs your help"),
    "halted": N_("Stopped"),
}
"""Each state in a word or two, for headings."""

_ALL = FORM | WEB


def sentence(code: str, **fields: str) -> Sentence:
    """What happened, for a known `code`. Raises KeyError for an unknown one."""
    return Sentence(_ALL[code][0], fields)


def action(code: str, **fields: str) -> Sentence:
    """What to do about `code`. Raises KeyError for an unknown one."""
    return Sentence(_ALL[code][1], fields)


def refusal(code: str, *, field: str | None = None, keep_as_typed: bool = False, **fields: str) -> Refusal:
    """A `Refusal` with the sentences of `code`. Raises KeyError for an unknown one."""
    return Refusal(
        code, sentence(code, **fields), action(code, **fields), field=field, keep_as_typed=keep_as_typed
    )
