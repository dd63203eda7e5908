"""What a person is told when the station's certificate is not renewed in time. When that is, is decided in
`appliance.uplink.renewal`."""

from __future__ import annotations

from appliance.uplink.renewal import Renewal
from portal.sentences import N_
from portal.view import Notice, Sentence
from protocol.certificate_messages import KEY_REVOKED, RENEWAL_TOO_LATE

ENDING = N_("The station's certificate ends soon and could not be renewed. Days left: %(days)s.")
ENDING_ACTION = N_("Check the connection to the cloud; the station tries again by itself.")
ENDED = N_("The station's certificate has ended. What is recorded is kept until it is renewed.")
TOO_LATE = N_("The station was away for so long that the cloud asks its owner.")
TOO_LATE_ACTION = N_("Open the station's page in the cloud and approve the station again.")
REVOKED = N_("The owner shut this station out of the cloud. What it records stays here.")
REVOKED_ACTION = N_("Reset the station and claim it again.")

DAY_S = 86_400


def notices(renewal: Renewal) -> list[Notice]:
    """None, or the one that matters most."""
    match renewal.alert:
        case None:
            return []
        case word if word == KEY_REVOKED:
            return [Notice("CERT-004", Sentence(REVOKED), Sentence(REVOKED_ACTION))]
        case word if word == RENEWAL_TOO_LATE:
            return [Notice("CERT-003", Sentence(TOO_LATE), Sentence(TOO_LATE_ACTION))]
        case "ended":
            return [Notice("CERT-002", Sentence(ENDED), Sentence(ENDING_ACTION))]
    days = {"days": str(int((renewal.left() or 0) // DAY_S))}
    return [Notice("CERT-001", Sentence(ENDING, days), Sentence(ENDING_ACTION))]
