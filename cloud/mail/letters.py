"""What mails to persons say. Plain text in English, like the pages; how they leave is in `outbox`."""

from __future__ import annotations

from cloud.mail.outbox import Letter

_ROLES = {
    "technician": "You will see its state and its events, and may send it orders and settings.",
    "viewer": "You will see its state and its events.",
}


def invited(to: str, owner: str, station: str, role: str, base: str) -> Letter:
    """To somebody who may see a station from now on."""
    text = (
        f"{owner} lets you in at the meteor station “{station}” as a {role}.\n"
        f"{_ROLES[role]}\n\n"
        f"Sign in with this mail address, and accept or decline there:\n{base}/\n\n"
        "The invitation waits for two weeks. If you do not know the sender, do nothing.\n"
    )
    return Letter(to, f"You are invited to the meteor station “{station}”", text)


def password_link(to: str, link: str) -> Letter:
    """To somebody who lost the password."""
    text = (
        "Somebody, probably you, asked for a new password for your account of meteor stations.\n\n"
        f"Choose it here within 30 minutes; the link is good once:\n{link}\n\n"
        "If it was not you, do nothing: your password stays as it is.\n"
    )
    return Letter(to, "A new password for your meteor stations", text)
