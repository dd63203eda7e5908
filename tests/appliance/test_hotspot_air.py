"""Is the hotspot in the air, do its services answer, and who comes and does not get in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from appliance.network.hotspot import selftest, supplicant
from appliance.network.hotspot.air import Radio, RadioCheck, radio_in
from appliance.network.hotspot.newcomers import MOST, Newcomers
from appliance.network.hotspot.supplicant import NotListening
from appliance.network.hotspot.witness import Witness
from tests.appliance.workshop import until

IN_THE_AIR = """Interface wlan0
\tifindex 3
\twdev 0x1
\taddr 02:00:00:00:00:00
\tssid Meteor-ABCD
\ttype AP
\twiphy 0
\tchannel 6 (2437 MHz), width: 20 MHz (no HT), center1: 2437 MHz
\ttxpower 20.00 dBm
"""
PHONE, OTHER = "02:00:00:00:01:00", "02:00:00:00:02:00"


def test_what_iw_tells_of_an_interface_is_read() -> None:
    assert radio_in(IN_THE_AIR) == Radio("AP", "Meteor-ABCD", 6)
    assert radio_in("Interface wlan0\n\ttype managed\n") == Radio("managed")
    assert radio_in("") == Radio()


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An `iw` that does what `text`, a shell script, says."""
    made = folder / "iw"
    made.write_text("#!/bin/sh\n" + text)
    made.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: str(made))


SEEN = [
    ("as wished", IN_THE_AIR, True, ""),
    ("on another channel", IN_THE_AIR.replace("channel 6 (2437", "channel 11 (2462"), True, "channel 11"),
    ("a driver that does not tell the channel", IN_THE_AIR.replace("\tchannel", "\tx"), True, ""),
    ("no beacon yet", IN_THE_AIR.replace("\tssid", "\tx"), False, "no access point"),
    ("another name", IN_THE_AIR.replace("ABCD", "ABCE"), False, "Meteor-ABCE"),
    ("a client again", IN_THE_AIR.replace("type AP", "type managed"), False, "managed"),
]


@pytest.mark.parametrize(("told", "there", "said"), [s[1:] for s in SEEN], ids=[s[0] for s in SEEN])
async def test_the_radio_itself_says_whether_the_hotspot_is_in_the_air(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    told: str,
    there: bool,
    said: str,
) -> None:
    program(tmp_path, monkeypatch, f"[ \"$*\" = 'dev wlan0 info' ] || exit 1\ncat <<'END'\n{told}END\n")
    assert await RadioCheck().is_in_the_air("wlan0", "Meteor-ABCD", 6) is there
    assert said in caplog.text


async def test_where_nobody_can_look_networkmanager_is_believed_and_the_log_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program(tmp_path, monkeypatch, "echo 'nl80211 not found.' >&2; exit 1\n")
    check = RadioCheck()
    for _ in range(3):
        assert await check.is_in_the_air("wlan0", "Meteor-ABCD", 6)
    assert caplog.text.count("nl80211 not found") == 1
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    assert await check.is_in_the_air("wlan0", "Meteor-ABCD", 6)
    assert "install the package iw" in caplog.text


# --- what a phone asks first --------------------------------------------------------------------------------


async def test_services_that_are_silent_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "PATIENCE_S", 0.3)
    own = IPv4Address("127.0.0.77")
    assert (
        await selftest.trouble(own, "127.0.0.78", 9) == "no name leads to 127.0.0.78 at 127.0.0.77, port 53"
    )

    async def named(_server: str, _portal: str) -> bool:
        return True

    monkeypatch.setattr(selftest, "_leads_to", named)
    assert "the setup page does not answer" in await selftest.trouble(own, "127.0.0.78", 9)


async def test_a_page_that_answers_is_no_trouble_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await selftest._serves("127.0.0.1", port)
    server.close()


# --- who comes ----------------------------------------------------------------------------------------------

NEW, DEL = f"wlan0: new station {PHONE}", f"wlan0: del station {PHONE}"
WRONG = f"<3>AP-STA-POSSIBLE-PSK-MISMATCH {PHONE}"

STORIES: list[tuple[str, list[str], list[bool]]] = [
    ("came and went", [NEW, DEL], [False]),
    ("came and stays", [NEW], []),
    ("had the wrong key", [NEW, WRONG, WRONG, DEL], []),
    ("had the wrong key, then failed with the right one", [NEW, WRONG, DEL, NEW, DEL], [False]),
    ("another had the wrong key", [NEW, WRONG.replace(PHONE, OTHER), DEL], [False]),
    ("got an address", [NEW, "lease", DEL], [True]),
    ("was there before", [DEL], []),
    ("was on another radio", [NEW.replace("wlan0", "wlan1"), DEL.replace("wlan0", "wlan1")], []),
    ("is told twice", [NEW, NEW, DEL, DEL], [False]),
    ("other events", ["wlan0 (phy #0): scan started", "", f"<3>AP-STA-CONNECTED {PHONE}"], []),
]


class Visits:
    """Remembers who came, and how."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def joined(self, hardware: str) -> None:
        self.seen.append(("joined", hardware))

    def wrong_key(self, hardware: str) -> None:
        self.seen.append(("wrong key", hardware))


@pytest.mark.parametrize(("lines", "told"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_a_phone_that_went_without_an_address_did_not_get_in_unless_its_key_was_wrong(
    lines: list[str], told: list[bool]
) -> None:
    heard: list[bool] = []
    newcomers = Newcomers("wlan0", heard.append, Visits())
    for line in lines:
        if line == "lease":
            newcomers.leased()
        elif line.startswith("<"):
            newcomers.supplicant(line)
        else:
            newcomers.kernel(line)
    assert heard == told


def test_a_flood_of_phones_is_bounded() -> None:
    heard: list[bool] = []
    newcomers = Newcomers("wlan0", heard.append, Visits())
    phones = [f"02:00:00:00:{number // 256:02x}:{number % 256:02x}" for number in range(MOST + 10)]
    for what in ("new", "del"):
        for phone in phones:
            newcomers.kernel(f"wlan0: {what} station {phone}")
    assert len(heard) == MOST


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder with a short path, as a socket needs it."""
    with tempfile.TemporaryDirectory(prefix="ctl-") as folder:
        yield Path(folder)


@contextlib.asynccontextmanager
async def speaking(folder: Path) -> AsyncIterator[socket.socket]:
    """A supplicant that is connected to whoever attached first."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.setblocking(False)
        ours.bind(str(folder / "wlan0"))

        async def attach() -> None:
            said, who = await loop.sock_recvfrom(ours, 100)
            assert said == b"ATTACH"
            await loop.sock_sendto(ours, b"OK\n", who)
            ours.connect(who)

        attaching = asyncio.create_task(attach())
        yield ours
        await attaching


async def test_the_witness_hears_the_kernel_and_the_supplicant_until_the_first_phone_is_in(
    tmp_path: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lines = tmp_path / "lines"
    lines.touch()
    program(tmp_path, monkeypatch, f'[ "$*" = event ] || exit 1\nexec tail -f -n +1 {lines}\n')
    heard: list[bool] = []
    witness = Witness(heard.append, visits := Visits(), sockets)
    async with speaking(sockets) as spoken:
        witness.start("wlan0")

        def kernel(*more: str) -> None:
            with lines.open("a") as file:
                file.writelines(line + "\n" for line in more)

        kernel(NEW, DEL)
        await until(lambda: heard == [False])
        kernel(NEW)
        await until(lambda: witness._newcomers is not None and PHONE in witness._newcomers._trying)
        await until(lambda: with_no_error(spoken))
        for _ in range(3):
            spoken.send(WRONG.encode())
        await until(lambda: witness._newcomers is not None and not witness._newcomers._trying[PHONE])
        kernel(DEL, f"wlan0: new station {OTHER}", f"wlan0: del station {OTHER}")
        await until(lambda: heard == [False, False])
    assert caplog.text.count("with a wrong key") == 1
    witness.leased()
    assert heard == [False, False, True]
    visits.seen.clear()
    kernel(NEW, DEL)
    await until(lambda: visits.seen == [("joined", PHONE)])
    assert heard == [False, False, True], "the radio is proved; who comes is told all the same"
    await witness.stop()


def with_no_error(spoken: socket.socket) -> bool:
    """Whether the listener has attached."""
    try:
        return bool(spoken.getpeername())
    except OSError:
        return False


async def test_without_the_supplicants_word_nobody_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lines = tmp_path / "lines"
    lines.touch()
    program(tmp_path, monkeypatch, f"exec tail -f -n +1 {lines}\n")
    heard: list[bool] = []
    witness = Witness(heard.append, visits := Visits(), tmp_path / "nowhere")
    witness.start("wlan0")
    await until(lambda: "are not counted" in caplog.text)
    lines.write_text(f"{NEW}\n{DEL}\n{NEW}\n")
    await until(lambda: len(visits.seen) == 2)
    assert heard == []
    await witness.stop()


@pytest.mark.parametrize("answer", [b"FAIL\n", b""])
async def test_a_supplicant_that_refuses_is_told(sockets: Path, answer: bytes) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.setblocking(False)
        theirs.bind(str(sockets / "wlan0"))
        listening = asyncio.create_task(supplicant.listen("wlan0", print, sockets))
        _, who = await loop.sock_recvfrom(theirs, 100)
        theirs.sendto(answer, who)
        with pytest.raises(NotListening, match="wlan0: it refuses"):
            await listening


async def test_a_supplicant_that_does_not_answer_is_told(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supplicant, "ANSWER_S", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(str(sockets / "wlan0"))
        with pytest.raises(NotListening, match="no answer"):
            await supplicant.listen("wlan0", print, sockets)
