"""The way to the cloud: names, internet, the secure connection, and who answers at its end."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.doctor.certificates import Seen
from appliance.doctor.names import PATIENCE_S, Asked
from appliance.doctor.patient import ClockFacts
from appliance.doctor.visit import Visit
from appliance.doctor.way import STEP_S, Fault, Way
from appliance.doctor.words import follows, judged, moment, span, well, wrong
from appliance.network import verdict
from appliance.network.internet import Met
from portal.sentences import N_
from portal.ssid import display
from portal.view import Finding, Sentence

NAMES = N_("Names (DNS)")
IS_AT = N_("%(host)s is %(address)s.")
SERVER_SILENT = N_("DNS of %(server)s did not answer within %(time)s.")
SERVER_SAID = N_("DNS of %(server)s answered %(answer)s for %(host)s.")
SERVER_FAILED = N_("DNS of %(server)s cannot be asked: %(reason)s.")
NO_SERVER = N_("No DNS server is set.")

INTERNET = N_("Internet")
REACHED = N_("A connection to %(place)s took %(time)s.")
NOT_REACHED = N_("The connection to %(place)s failed: %(reason)s.")
SILENCE = N_("%(place)s did not answer within %(time)s.")
WEB_PAGE = N_("Something else answers in the place of %(place)s.")
NOTHING_THROUGH = N_("The network is there, but nothing comes through it.")

SECURE = N_("Secure connection")
GOOD_UNTIL = N_("%(version)s; the certificate of %(host)s is good until %(end)s.")
WITHOUT_TLS = N_("This cloud is used without TLS.")
LIFE = N_("The certificate of %(host)s is good from %(begin)s to %(end)s; the station's clock says %(now)s.")
FOR_OTHERS = N_("The certificate of %(host)s is for %(names)s.")
ISSUED_BY = N_("The certificate of %(host)s was issued by %(issuer)s, whom the station does not trust.")
HANDSHAKE = N_("The handshake failed: %(reason)s.")
OVER = N_("The cloud's certificate has run out, or does not hold yet.")
RENEW = N_("Tell whoever runs the cloud to renew its certificate.")
OTHER_NAME = N_("The cloud's certificate is for another name.")
CHECK_URL = N_("Check `cloud.url` in the station's settings.")

CLOUD = N_("Cloud")
ANSWERED = N_("%(place)s answered after %(time)s.")
UNWELL = N_("%(place)s answered HTTP %(status)s.")
NOT_OURS = N_("What answers at the address of the cloud is not a cloud of this kind.")


async def check(visit: Visit) -> Sequence[Finding]:
    """Four findings: what stands behind a fault cannot be checked, and says so."""
    way = await visit.way()
    if way is None:
        return [follows(NAMES), _nothing_through(visit), follows(SECURE), follows(CLOUD)]
    names, internet, secure = _names(way, visit), _internet(way, visit), follows(SECURE)
    if internet.verdict != "ok":
        return [names, internet, secure, follows(CLOUD)]
    if not way.secure or way.handshake is not None:
        secure = _secure(way, visit)
    return [names, internet, secure, follows(CLOUD) if secure.verdict == "fail" else _cloud(way, visit)]


def _nothing_through(visit: Visit) -> Finding:
    link = visit.patient.link
    if link.kind == "none" or not link.address:
        return follows(INTERNET)
    return judged(verdict.NO_INTERNET, INTERNET, Sentence(NOTHING_THROUGH), ssid=_place(visit))


def _place(visit: Visit) -> str:
    """The network's name; a cable has none."""
    ssid = visit.patient.link.ssid
    return display(ssid) if ssid else "LAN"


# --- names ---


def _names(way: Way, visit: Visit) -> Finding:
    if way.addresses:
        return well(NAMES, Sentence(IS_AT, {"host": way.host, "address": ", ".join(way.addresses)}))
    seen = [_asked(each, way.host) for each in way.asked] or [Sentence(NO_SERVER)]
    return judged(verdict.NO_NAMES, NAMES, *seen, ssid=_place(visit))


def _asked(asked: Asked, host: str) -> Sentence:
    if asked.answer is not None:
        return Sentence(SERVER_SAID, {"server": asked.server, "answer": asked.answer, "host": host})
    if asked.failure:
        return Sentence(SERVER_FAILED, {"server": asked.server, "reason": asked.failure})
    return Sentence(SERVER_SILENT, {"server": asked.server, "time": span(PATIENCE_S)})


# --- internet ---


def _internet(way: Way, visit: Visit) -> Finding:
    """Who answers at all has internet behind it, unless a login page answers."""
    if way.code == verdict.LOGIN_PAGE:
        return judged(way.code, INTERNET, Sentence(WEB_PAGE, {"place": way.place}), ssid=_place(visit))
    if not way.addresses:
        return follows(INTERNET)
    if way.connected is None and way.code == verdict.NO_INTERNET:
        return judged(way.code, INTERNET, _silence(way), ssid=_place(visit))
    return well(INTERNET, *([_reached(way)] if way.connected is not None else []))


def _reached(way: Way) -> Sentence:
    return Sentence(REACHED, {"place": way.place, "time": span(way.connected or 0.0)})


def _silence(way: Way) -> Sentence:
    if way.failure:
        return Sentence(NOT_REACHED, {"place": way.place, "reason": way.failure})
    return Sentence(SILENCE, {"place": way.place, "time": span(STEP_S)})


# --- TLS ---


def _secure(way: Way, visit: Visit) -> Finding:
    made = way.handshake
    if made is None:
        return well(SECURE, Sentence(WITHOUT_TLS))
    if not made.failure:
        end = "–" if made.ends is None else moment(made.ends)
        return well(SECURE, Sentence(GOOD_UNTIL, {"version": made.version, "host": way.host, "end": end}))
    if made.shown is None:
        return judged(verdict.NO_TRUST, SECURE, Sentence(HANDSHAKE, {"reason": made.failure}))
    return _distrusted(way.host, made.fault, made.shown, visit.patient.clock)


def _distrusted(host: str, fault: Fault, shown: Seen, clock: ClockFacts) -> Finding:
    if fault is Fault.LIFE:
        return _over(host, shown, clock)
    if fault is Fault.NAME:
        seen = Sentence(FOR_OTHERS, {"host": host, "names": ", ".join(shown.names)})
        return wrong("fail", "DOC-004", SECURE, OTHER_NAME, CHECK_URL, seen)
    issued = Sentence(ISSUED_BY, {"host": host, "issuer": shown.issuer})
    return judged(verdict.NO_TRUST, SECURE, issued)


def _over(host: str, shown: Seen, clock: ClockFacts) -> Finding:
    """The cloud's fault only where somebody vouches for the station's clock."""
    times = {"begin": moment(shown.begins), "end": moment(shown.ends), "now": moment(clock.now)}
    life = Sentence(LIFE, {"host": host, **times})
    if clock.synchronized:
        return wrong("fail", "DOC-003", SECURE, OVER, RENEW, life)
    return judged(verdict.WRONG_CLOCK, SECURE, life)


# --- the answer ---


def _cloud(way: Way, visit: Visit) -> Finding:
    if way.met is Met.OURS:
        return well(CLOUD, Sentence(ANSWERED, {"place": way.place, "time": span(way.answered or 0.0)}))
    if way.status is None:
        return judged(verdict.CLOUD_SILENT, CLOUD, _silence(way), ssid=_place(visit))
    seen = Sentence(UNWELL, {"place": way.place, "status": str(way.status)})
    if way.status < 500:
        return wrong("fail", "DOC-005", CLOUD, NOT_OURS, CHECK_URL, seen)
    return judged(verdict.CLOUD_SILENT, CLOUD, seen, ssid=_place(visit))
