"""Sentences that other parts of the cloud say to people, so that translators find them. Pure.

A refusal is English where it is made, because programs read it too; a page says it in the language of its
reader. What only a station or a program can run into is not here and stays English.
"""

from __future__ import annotations

from language.marks import N_

CODES = {
    "REG-001": N_("Check that the hardware is supported."),
    "REG-002": N_("Start the registration again."),
    "REG-003": N_("Use the existing device, or release it first."),
    "REG-004": N_("Check the code and try again."),
    "REG-005": N_("Check the connection."),
    "REG-006": N_("Wait, then try again."),
    "REG-007": N_("Correct the named field, or use the defaults."),
    "REG-008": N_("Contact the operator."),
    "REG-009": N_("Try again later."),
    "REG-010": N_("Nothing: it is retried."),
}
"""What to do about each code of the registration, as `protocol.errors` says it."""

REFUSALS = (
    N_("E-mail address and password do not belong together."),
    N_("This account is suspended. Ask whoever runs this cloud."),
    N_("This came too often. Wait a little."),
    N_("The cloud cannot count now. Try again later."),
    N_("The cloud cannot store now. Try again later."),
    N_("The PIN has six digits, like 123 456."),
    N_("The short id has six letters, without vowels and Y, like BCD FGH."),
    N_("The link is not complete. Scan the code again, or type the short id and the PIN."),
    N_("A name has 1 to 80 characters."),
    N_("A name has 1 to 80 letters, digits or signs."),
    N_("Too many open claims; use or cancel one."),
    N_("Too many registrations wait. Try again in a minute."),
    N_("Use at least 10 characters. A few words in a row are easy to remember."),
    N_("Use at most 256 characters."),
    N_("This password is among the first that are guessed. Choose another."),
    N_("Do not use your name or address as the password."),
    N_("This is not your current password."),
    N_("The password was changed somewhere else just now."),
    N_("Type the PIN that the station shows."),
    N_("This is not the PIN that the station shows."),
    N_("This is not an e-mail address."),
    N_("The station is yours already."),
    N_("This station is yours already."),
    N_("Text must not contain NUL characters."),
)
"""What a form can be answered with."""
