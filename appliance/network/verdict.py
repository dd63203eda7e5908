"""Why a network did not work, for a person: each code with one sentence and one action; no radio here.

The text is English and its own message id; `%(ssid)s` stands for the network's name as shown to the eye.
Codes never change their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from portal.sentences import N_

WRONG_PASSWORD = "NET-001"  # noqa: S105 - the code of a verdict
NOT_FOUND = "NET-002"
NO_ADDRESS = "NET-003"
NO_INTERNET = "NET-004"
LOGIN_PAGE = "NET-005"
UNSUPPORTED = "NET-006"
ALL_FAILED = "NET-007"
NO_RADIO = "NET-008"
IMPOSSIBLE_PASSWORD = "NET-009"  # noqa: S105 - the code of a verdict
REFUSED = "NET-010"
NO_HOTSPOT = "NET-011"
NO_NAMES = "NET-012"
CLOUD_SILENT = "NET-013"
NO_TRUST = "NET-014"
WRONG_CLOCK = "NET-015"
NOT_ALLOWED = "NET-016"
BROKEN_OFF = "NET-017"
NO_WPA3 = "NET-020"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One code with what happened and what to do."""

    code: str
    sentence: str
    action: str


VERDICTS: dict[str, Verdict] = {
    verdict.code: verdict
    for verdict in (
        Verdict(
            WRONG_PASSWORD,
            N_("The password for %(ssid)s was not accepted."),
            N_("Check it and try again; capital letters matter."),
        ),
        Verdict(
            NOT_FOUND,
            N_("%(ssid)s is not in reach of the station."),
            N_("Move the station nearer to the router, or check that the router is on, then try again."),
        ),
        Verdict(
            NO_ADDRESS,
            N_("%(ssid)s let the station in but gave it no address (DHCP)."),
            N_("Switch the router off and on, wait two minutes, then try again."),
        ),
        Verdict(
            NO_INTERNET,
            N_("The station joined %(ssid)s, but there is no internet behind it."),
            N_("Check that other devices on this network are online, then try again."),
        ),
        Verdict(
            LOGIN_PAGE,
            N_("%(ssid)s asks for a login on a web page, which the station cannot fill in."),
            N_("Choose another network, or ask whoever runs this one to let the station in."),
        ),
        Verdict(
            UNSUPPORTED,
            N_("%(ssid)s uses a kind of security that the station cannot use."),
            N_("Choose another network, or set the router to WPA2 or WPA3 with a plain password."),
        ),
        Verdict(
            ALL_FAILED,
            N_("None of the networks that the station knows can be used now."),
            N_("Check that the router is on, or choose another network."),
        ),
        Verdict(
            NO_RADIO,
            N_("The station has no working Wi-Fi radio."),
            N_("Use a network cable, or unplug the station for ten seconds and start it again."),
        ),
        Verdict(
            IMPOSSIBLE_PASSWORD,
            N_("This cannot be the password of %(ssid)s."),
            N_("Type 8 to 63 characters, or exactly 64 digits and letters from a to f."),
        ),
        Verdict(
            REFUSED,
            N_("%(ssid)s refused the station without a reason."),
            N_("Check whether the router only lets in devices it knows, or has no room for one more."),
        ),
        Verdict(
            NO_HOTSPOT,
            N_("The station could not open its own setup hotspot."),
            N_("Connect the station with a network cable, or start it again."),
        ),
        Verdict(
            NO_NAMES,
            N_("The station is on %(ssid)s, but no internet name can be looked up (DNS)."),
            N_("Start the router again; if that does not help, set another DNS server in it."),
        ),
        Verdict(
            CLOUD_SILENT,
            N_("The station is online through %(ssid)s, but the cloud does not answer."),
            N_("Wait: nothing is wrong with your network, and the station tries again by itself."),
        ),
        Verdict(
            NO_TRUST,
            N_("Something between the station and the cloud breaks the secure connection."),
            N_("Ask whoever runs this network to let the station through without inspection."),
        ),
        Verdict(
            WRONG_CLOCK,
            N_("The station's clock is wrong, so secure connections fail."),
            N_("Wait a minute for the time to come from the network, then try again."),
        ),
        Verdict(
            NOT_ALLOWED,
            N_("The station's program is not allowed to manage the network."),
            N_("Install the station's package again, or use a network cable."),
        ),
        Verdict(
            BROKEN_OFF,
            N_("The station's network service did not answer, or was interrupted."),
            N_("Try again; if it happens again, start the station again."),
        ),
        Verdict(
            NO_WPA3,
            N_("%(ssid)s asks for WPA3, which the station's radio cannot do."),
            N_("Set the router to WPA2 and WPA3 (mixed mode), or choose another network."),
        ),
    )
}
