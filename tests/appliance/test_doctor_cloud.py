"""The doctor on the way to the cloud, with real servers that are silent, wrong, broken or somebody else's."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.doctor import cloud, names, way
from appliance.doctor.names import Asked, name_servers
from appliance.doctor.patient import ClockFacts
from appliance.doctor.way import Traveller
from appliance.network.port import NO_LINK
from portal.view import Finding
from tests.appliance.ward import HEALTHY, HOME, NOW, answering, ask, patient, seen
from tests.netfaults.certificates import make

UNWELL = HEALTHY.replace(b'"ok"', b'"failed"')
UNVOUCHED = ClockFacts(NOW, False, "unknown")


def server(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def four(folder: Path, url: str, trusted: Path | None = None, **changes: Any) -> dict[str, Finding]:
    """The findings of the way by name."""
    make_context = (lambda: ssl.create_default_context(cafile=str(trusted))) if trusted else (lambda: None)
    found = await ask(cloud.check, patient(folder, cloud=url, tls=make_context, **changes))
    assert [str(each.name) for each in found] == ["Names (DNS)", "Internet", "Secure connection", "Cloud"]
    return {each.name.text: each for each in found}


def verdicts(found: dict[str, Finding]) -> list[tuple[str, str]]:
    return [(each.verdict, each.code) for each in found.values()]


OK, OPEN = ("ok", ""), ("unknown", "")

# --- all the way --------------------------------------------------------------------------------------------


async def test_a_good_way_is_told_step_by_step(tmp_path: Path) -> None:
    trusted = make(tmp_path, "localhost")
    async with answering(tls=server(tmp_path / "good.pem")) as port:
        found = await four(tmp_path, f"https://localhost:{port}", trusted)
    assert verdicts(found) == [OK] * 4
    assert "localhost is 127.0.0.1." in seen(found[cloud.NAMES])
    assert f"A connection to localhost:{port} took" in seen(found[cloud.INTERNET])
    assert "TLSv1.3; the certificate of localhost is good until 20" in seen(found[cloud.SECURE])
    assert f"localhost:{port} answered after" in seen(found[cloud.CLOUD])


async def test_without_a_network_nothing_is_asked_and_nothing_blamed(tmp_path: Path) -> None:
    found = await four(tmp_path, "https://cloud.invalid", link=NO_LINK)
    assert verdicts(found) == [OPEN] * 4


async def test_a_simulated_network_without_internet_is_believed(tmp_path: Path) -> None:
    async with answering() as port:
        offline = replace(HOME, online=False)
        found = await four(tmp_path, f"http://127.0.0.1:{port}", link=offline, backend="simulated")
    assert verdicts(found) == [OPEN, ("fail", "NET-004"), OPEN, OPEN]
    assert str(found[cloud.INTERNET].sentence) == (
        "The station joined Home, but there is no internet behind it."
    )


# --- names --------------------------------------------------------------------------------------------------


@contextmanager
def name_server(answer: int | None) -> Iterator[tuple[str, int]]:
    """A DNS server on loopback that gives this code to every question, or is silent."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)

        def reply() -> None:
            asked, client = listening.recvfrom(512)
            if answer is not None:
                listening.sendto(asked[:2] + bytes([0x81, 0x80 | answer]) + asked[4:], client)

        loop.add_reader(listening, reply)
        try:
            yield listening.getsockname()
        finally:
            loop.remove_reader(listening)


async def test_a_dns_server_that_is_silent_is_named_with_how_long_it_was_waited_for(tmp_path: Path) -> None:
    with name_server(None) as silent:
        found = await four(tmp_path, "https://cloud.invalid", servers=lambda: (silent,))
    assert verdicts(found) == [("fail", "NET-012"), OPEN, OPEN, OPEN]
    assert seen(found[cloud.NAMES]) == "DNS of 127.0.0.1 did not answer within 3 s."
    assert str(found[cloud.NAMES].sentence).startswith("The station is on Home, but no internet name")


@pytest.mark.parametrize(("code", "word"), [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED")])
async def test_what_a_dns_server_answered_is_told(tmp_path: Path, code: int, word: str) -> None:
    with name_server(code) as answering_server:
        found = await four(tmp_path, "https://cloud.invalid", servers=lambda: (answering_server,))
    assert seen(found[cloud.NAMES]) == f"DNS of 127.0.0.1 answered {word} for cloud.invalid."


async def test_no_dns_server_at_all_is_told(tmp_path: Path) -> None:
    found = await four(tmp_path, "https://cloud.invalid")
    assert seen(found[cloud.NAMES]) == "No DNS server is set."


async def test_an_answer_to_another_question_does_not_count() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)

        def lie() -> None:
            asked, client = listening.recvfrom(512)
            listening.sendto(bytes([asked[0] ^ 1, asked[1], 0x81, 0x80]) + asked[4:], client)
            listening.sendto(b"x", client)
            listening.sendto(asked[:2] + b"\x81\x83" + asked[4:], client)

        loop.add_reader(listening, lie)
        told = await names.ask(listening.getsockname(), "cloud.example.org", 30.0)
        loop.remove_reader(listening)
    assert told == Asked("127.0.0.1", "NXDOMAIN")


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, "."])
async def test_what_is_no_name_is_told_and_not_asked(name: str) -> None:
    told = await names.ask(("127.0.0.1", 9), name, 30.0)
    assert told.answer is None
    assert told.failure


def test_name_servers_are_those_of_the_machine_and_not_its_own_stub(tmp_path: Path) -> None:
    assert name_servers(tmp_path) == ()
    (tmp_path / "etc").mkdir()
    stub = tmp_path / "etc/resolv.conf"
    stub.write_text("# a comment\nsearch home\nnameserver 127.0.0.53\nnameserver\n")
    assert name_servers(tmp_path) == (("127.0.0.53", 53),)
    real = tmp_path / "run/systemd/resolve/resolv.conf"
    real.parent.mkdir(parents=True)
    real.write_text("".join(f"nameserver 192.168.1.{n}\n" for n in range(1, 6)))
    assert name_servers(tmp_path) == tuple((f"192.168.1.{n}", 53) for n in (1, 2, 3))


# --- the internet and the cloud -----------------------------------------------------------------------------


async def test_nobody_listens_at_the_cloud(tmp_path: Path, free_port: int) -> None:
    found = await four(tmp_path, f"http://127.0.0.1:{free_port}")
    assert verdicts(found) == [OK, OK, OK, ("fail", "NET-013")]
    assert seen(found[cloud.CLOUD]) == (
        f"The connection to 127.0.0.1:{free_port} failed: Connection refused."
    )


async def test_a_cloud_that_takes_the_connection_and_says_nothing(tmp_path: Path) -> None:
    async def swallow(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    listening = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        found = await four(tmp_path, f"http://127.0.0.1:{port}")
    assert found[cloud.CLOUD].code == "NET-013"
    assert seen(found[cloud.CLOUD]) == f"127.0.0.1:{port} did not answer within 4 s."


async def test_a_cloud_that_is_unwell(tmp_path: Path) -> None:
    async with answering(503, UNWELL) as port:
        found = await four(tmp_path, f"http://127.0.0.1:{port}")
    assert (found[cloud.CLOUD].code, seen(found[cloud.CLOUD])) == (
        "NET-013",
        f"127.0.0.1:{port} answered HTTP 503.",
    )


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>hello</html>"), (404, b""), (200, b'{"status":1}')]
)
async def test_what_answers_is_not_a_cloud_of_ours(tmp_path: Path, status: int, body: bytes) -> None:
    trusted = make(tmp_path, "localhost")
    async with answering(status, body, server(tmp_path / "good.pem")) as port:
        found = await four(tmp_path, f"https://localhost:{port}", trusted)
    assert verdicts(found) == [OK, OK, OK, ("fail", "DOC-005")]
    assert seen(found[cloud.CLOUD]) == f"localhost:{port} answered HTTP {status}."
    assert "cloud.url" in str(found[cloud.CLOUD].action)


async def test_a_login_page_in_the_place_of_the_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "is_loopback", lambda _: False)  # as if it were out there
    async with answering(200, b"<html>Please log in</html>") as port:
        found = await four(tmp_path, f"http://127.0.0.1:{port}")
    assert verdicts(found) == [OK, ("fail", "NET-005"), OPEN, OPEN]
    assert seen(found[cloud.INTERNET]) == f"Something else answers in the place of 127.0.0.1:{port}."


async def test_no_internet_behind_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of the documentation (RFC 5737) that this machine has no way to."""

    async def no_way(*_: object) -> socket.socket:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("appliance.network.probe.connect", no_way)
    found = await four(tmp_path, "https://192.0.2.77")
    assert verdicts(found) == [OK, ("fail", "NET-004"), OPEN, OPEN]
    assert seen(found[cloud.INTERNET]) == "The connection to 192.0.2.77 failed: Network is unreachable."


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["expired", "future"])
@pytest.mark.parametrize("vouched", [True, False])
async def test_a_certificate_that_does_not_hold_now(tmp_path: Path, kind: str, vouched: bool) -> None:
    """The cloud's fault where somebody vouches for the clock, and otherwise the clock's."""
    trusted = make(tmp_path, "localhost")
    clock = ClockFacts(NOW, True, "ntp") if vouched else UNVOUCHED
    async with answering(tls=server(tmp_path / f"{kind}.pem")) as port:
        found = await four(tmp_path, f"https://localhost:{port}", trusted, clock=clock)
    assert verdicts(found) == [OK, OK, ("fail", "DOC-003" if vouched else "NET-015"), OPEN]
    evidence = seen(found[cloud.SECURE])
    assert evidence.startswith("The certificate of localhost is good from 20")
    assert evidence.endswith("the station's clock says 2026-08-12 22:00:00 UTC.")


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    trusted = make(tmp_path, "other.example")
    async with answering(tls=server(tmp_path / "good.pem")) as port:
        found = await four(tmp_path, f"https://localhost:{port}", trusted)
    assert verdicts(found) == [OK, OK, ("fail", "DOC-004"), OPEN]
    assert seen(found[cloud.SECURE]) == "The certificate of localhost is for other.example."


async def test_an_inspected_connection_names_who_issued_the_certificate(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    trusted = make(tmp_path / "other", "localhost")
    make(tmp_path, "localhost")
    async with answering(tls=server(tmp_path / "good.pem")) as port:
        found = await four(tmp_path, f"https://localhost:{port}", trusted)
    assert verdicts(found) == [OK, OK, ("fail", "NET-014"), OPEN]
    assert "issued by CN=Authority of the network tests, whom" in seen(found[cloud.SECURE])


async def test_a_server_that_speaks_no_tls(tmp_path: Path) -> None:
    async with answering() as port:
        found = await four(tmp_path, f"https://localhost:{port}")
    assert verdicts(found) == [OK, OK, ("fail", "NET-014"), OPEN]
    assert "The handshake failed: " in seen(found[cloud.SECURE])


async def test_a_handshake_that_is_never_answered(tmp_path: Path) -> None:
    async def swallow(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    listening = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        gone = await Traveller(url=f"https://localhost:{port}", step=0.5).go()
    assert (gone.silent, gone.handshake, gone.met) == (True, None, None)
    assert gone.connected is not None


async def test_the_clock_of_the_cloud_is_read_from_its_answer() -> None:
    async with answering() as port:
        gone = await Traveller(url=f"http://127.0.0.1:{port}", wall=lambda: 1_767_225_600.0 + 90).go()
    assert gone.ahead == pytest.approx(90, abs=30)
