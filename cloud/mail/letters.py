"""What mails to persons say, in the language of whoever gets them. Plain text; `outbox` sends it."""

from __future__ import annotations

from cloud.mail.outbox import Letter
from language.languages import Language
from language.marks import N_
from language.sentence import Sentence

_INVITED = {
    "technician": N_("%(owner)s lets you in at the meteor station “%(station)s” as a technician."),
    "viewer": N_("%(owner)s lets you in at the meteor station “%(station)s” as a viewer."),
}
_ROLES = {
    "technician": N_("You will see its state and its events, and may send it orders and settings."),
    "viewer": N_("You will see its state and its events."),
}

_ANSWER = N_("Sign in with this mail address, and accept or decline there:")
_CHOOSE = N_("Choose it here within 30 minutes; the link is good once:")
_NOT_YOU = N_("If it was not you, do nothing: your password stays as it is.")
_WAITS = Sentence(N_("The invitation waits for two weeks."))
_UNKNOWN = Sentence(N_("If you do not know the sender, do nothing."))


def invited(language: Language, to: str, owner: str, station: str, role: str, base: str) -> Letter:
    """To somebody who may see a station from now on."""
    say = language.messages.gettext
    text = (
        f"{say(_INVITED[role]) % {'owner': owner, 'station': station}}\n"
        f"{say(_ROLES[role])}\n\n"
        f"{say(_ANSWER)}\n{base}/\n\n"
        f"{language.say(_WAITS, _UNKNOWN)}\n"
    )
    subject = say(N_("You are invited to the meteor station “%(station)s”")) % {"station": station}
    return Letter(to, subject, text)


def password_link(language: Language, to: str, link: str) -> Letter:
    """To somebody who lost the password."""
    say = language.messages.gettext
    asked = N_("Somebody, probably you, asked for a new password for your account of meteor stations.")
    text = f"{say(asked)}\n\n{say(_CHOOSE)}\n{link}\n\n{say(_NOT_YOU)}\n"
    return Letter(to, say(N_("A new password for your meteor stations")), text)
