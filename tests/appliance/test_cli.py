"""`meteor-appliance` as real processes: exit codes, what is printed where, and errors that help."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance import __version__, cli
from appliance.commandline.exits import MEANING, Exit
from buffer.media import MediaStore
from buffer.message import Draft, Priority
from buffer.store import Store
from firmware.board import Board
from protocol.clock import from_unix
from protocol.codes import new_claim_token
from tests.appliance.fakes import DEVICE_ID, FakeCloud
from tests.appliance.workshop import until, write_scenario

PROGRAM = Path(sys.executable).parent / "meteor-appliance"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _obey_file_modes() -> None:
    """Runs in the child: even as root a file's mode counts from here on."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@dataclass
class Shell:
    """A person at a terminal: one data folder, one cloud, no settings of this machine."""

    folder: Path
    cloud_url: str = "http://127.0.0.1:1"
    port: int = 1

    def words(self, *words: str) -> list[str]:
        settings = {
            "cloud.url": self.cloud_url,
            "portal.host": "127.0.0.1",
            "portal.port": str(self.port),
            "sources.settle_seconds": "0.1",
            "network.scenario": str(self.folder / "scenario.toml"),
        }
        chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        return [str(PROGRAM), "--data-dir", str(self.folder / "data"), *chosen, *words]

    async def start(self, *command: str, **environment: str) -> asyncio.subprocess.Process:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("METEOR_", "NOTIFY_"))}
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=inherited | environment,
            preexec_fn=_obey_file_modes,
        )

    async def run(self, *words: str, **environment: str) -> Done:
        """One command with the settings above."""
        return await self.raw(*self.words(*words)[1:], **environment)

    async def raw(self, *words: str, **environment: str) -> Done:
        """One command as it is written."""
        process = await self.start(str(PROGRAM), *words, **environment)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        done = Done(process.returncode or 0, out.decode(), err.decode())
        assert "Traceback" not in done.err
        return done

    async def told(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status, once it says what is waited for."""
        async with asyncio.timeout(30):
            while True:
                facts: dict[str, Any] = (await self.run("status", "--json")).json
                if what(facts):
                    return facts

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The station itself, until the end of the block."""
        process = await self.start(*self.words("run", "--simulate"))
        assert process.stdout is not None
        assert process.stderr is not None
        drains = [asyncio.create_task(stream.read()) for stream in (process.stdout, process.stderr)]
        try:
            await until(lambda: (self.folder / "data/run/ingest.sock").exists())
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
            _, log = await asyncio.gather(*drains)
            assert b"Traceback" not in log, log.decode()


@pytest.fixture
def shell(tmp_path: Path, free_port: int) -> Shell:
    write_scenario(tmp_path)
    return Shell(tmp_path, port=free_port)


@pytest.fixture
def claimable(shell: Shell, cloud: FakeCloud) -> Shell:
    shell.cloud_url = cloud.url
    return shell


# --- words and exit codes -----------------------------------------------------------------------------------


async def test_help_tells_every_exit_code(shell: Shell) -> None:
    done = await shell.raw("--help")
    assert done.code == Exit.OK
    for code, text in MEANING.items():
        assert f"{code.value}  {text}" in done.out


@pytest.mark.parametrize("words", [[], ["dance"], ["register"], ["run", "--fast"], ["buffer"]])
async def test_a_wrong_command_line_is_usage(shell: Shell, words: list[str]) -> None:
    done = await shell.run(*words)
    assert done.code == Exit.USAGE
    assert "usage:" in done.err
    assert done.out == ""


async def test_the_version_names_program_and_build(shell: Shell) -> None:
    done = await shell.raw("version", "--json")
    assert (done.code, done.json["version"]) == (Exit.OK, __version__)
    assert re.match(r"(commit [0-9a-f]+|of \d{4}-\d\d-\d\d), Python 3\.", done.json["build"])
    assert __version__ in (await shell.raw("version")).out


async def test_the_fingerprint_needs_no_network_and_is_always_the_same(shell: Shell) -> None:
    one, other = [await shell.raw("generate-fingerprint", "--json") for _ in range(2)]
    assert one.json == other.json
    assert {"hardware_id", "hash", "mac_addresses"} <= set(one.json)
    assert one.json["hash"] in (await shell.raw("generate-fingerprint")).out
    assert not (shell.folder / "data").exists(), "it changes nothing"


# --- settings -----------------------------------------------------------------------------------------------


async def test_the_effective_settings_are_printed_as_they_would_be_written(shell: Shell) -> None:
    config = shell.folder / "config.toml"
    config.write_text("[portal]\nport = 8080\n")
    done = await shell.raw("--config", str(config), "settings", METEOR_APPLIANCE_LOG_LEVEL="DEBUG")
    assert done.code == Exit.OK
    assert "port = 8080" in done.out
    assert 'level = "DEBUG"' in done.out
    (shell.folder / "again.toml").write_text(done.out)
    again = await shell.raw("--config", str(shell.folder / "again.toml"), "settings", "--json")
    assert (again.json["portal"]["port"], again.json["log"]["level"]) == (8080, "DEBUG")


WRONG: list[tuple[str, list[str], dict[str, str], tuple[str, ...]]] = [
    ("[portal]\nprot = 1", [], {}, ("config.toml", "portal.prot", "Did you mean port?")),
    ("[portal]\nport = 0", [], {}, ("config.toml", "portal.port", "Correct it")),
    ("nonsense\n[portal]", [], {}, ("config.toml", "TOML", "line 1")),
    ("", ["--set", "portal=1"], {}, ("--set portal=1", "SECTION.KEY=VALUE")),
    ("", ["--set", "cloud.url=x"], {}, ("the command line", "cloud.url", "https://")),
    (
        "",
        [],
        {"METEOR_APPLIANCE_PORTAL_PROT": "1"},
        ("METEOR_APPLIANCE_PORTAL_PROT", "METEOR_APPLIANCE_PORTAL_PORT?"),
    ),
]


@pytest.mark.parametrize(("text", "words", "environment", "named"), WRONG)
@pytest.mark.parametrize("command", ["settings", "run", "status"])
async def test_a_wrong_setting_is_named_with_its_place_and_remedy_by_every_command(
    shell: Shell,
    text: str,
    words: list[str],
    environment: dict[str, str],
    named: tuple[str, ...],
    command: str,
) -> None:
    config = shell.folder / "config.toml"
    config.write_text(text)
    done = await shell.raw("--config", str(config), *words, command, **environment)
    assert done.code == Exit.SETTINGS
    assert done.out == ""
    for word in named:
        assert word in done.err
    assert len(done.err.splitlines()) == 1


# --- without a running station ------------------------------------------------------------------------------


async def test_the_status_of_a_station_that_does_not_run_tells_what_lies_on_its_disk(shell: Shell) -> None:
    done = await shell.run("status", "--json")
    assert done.code == Exit.OK
    assert (done.json["running"], done.json["claimed"]) == (False, False)
    assert "not running" in (await shell.run("status")).out
    assert not (shell.folder / "data").exists(), "looking changes nothing"


async def test_looking_does_not_set_damaged_credentials_aside(shell: Shell) -> None:
    credentials = shell.folder / "data" / "identity" / "credentials.json"
    credentials.parent.mkdir(parents=True)
    credentials.write_bytes(b"damaged")
    assert (await shell.run("status", "--json")).json["claimed"] is False
    assert credentials.read_bytes() == b"damaged"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["event", "send", "{file}"], Exit.UNREACHABLE, "not running"),
        (["event", "send", "{file}x"], Exit.USAGE, "There is no file"),
        (["buffer", "ls"], Exit.FAILED, "buffer.db"),
        (["buffer", "show", "night-1"], Exit.FAILED, "buffer.db"),
        (["buffer", "export", "{file}-out"], Exit.FAILED, "BUF-014"),
        (["buffer", "export", "{file}"], Exit.USAGE, "not a folder"),
        (["buffer", "flush"], Exit.UNREACHABLE, "not running"),
        (["buffer", "retry", "night-1"], Exit.UNREACHABLE, "not running"),
        (["buffer", "flush", "--wait", "soon"], Exit.USAGE, "--wait"),
        (["register", "mct_short"], Exit.REFUSED, "REG-004"),
        (["reset"], Exit.USAGE, "--yes"),
        (["health"], Exit.UNREACHABLE, ""),
    ],
)
async def test_what_cannot_be_done_says_why(shell: Shell, words: list[str], code: Exit, told: str) -> None:
    (shell.folder / "a.jpg").write_bytes(b"x")
    done = await shell.run(*[word.format(file=shell.folder / "a.jpg") for word in words])
    assert done.code == code
    assert told in done.err


async def test_a_station_is_claimed_without_running_and_only_once(claimable: Shell, cloud: FakeCloud) -> None:
    done = await claimable.run("register", cloud.token)
    assert (done.code, done.err) == (Exit.OK, "")
    assert "North roof" in done.out
    assert cloud.token not in done.out
    facts = (await claimable.run("status", "--json")).json
    assert (facts["claimed"], facts["device_id"]) == (True, DEVICE_ID)
    again = await claimable.run("register", cloud.token)
    assert again.code == Exit.REFUSED
    assert "REG-003" in again.err
    assert "reset" in again.err


async def test_a_reset_without_a_running_station_makes_it_a_new_one(
    claimable: Shell, cloud: FakeCloud
) -> None:
    await claimable.run("register", cloud.token)
    assert (await claimable.run("reset")).code == Exit.USAGE
    assert (await claimable.run("status", "--json")).json["claimed"] is True
    done = await claimable.run("reset", "--yes")
    assert done.code == Exit.OK
    assert "kept" in done.out
    assert (await claimable.run("status", "--json")).json["claimed"] is False


async def test_forgetting_the_networks_asks_first_and_leaves_the_station_its_owners(
    claimable: Shell, cloud: FakeCloud
) -> None:
    await claimable.run("register", cloud.token)
    networks = claimable.folder / "data/state/networks.json"
    networks.write_text("[]")
    refused = await claimable.run("reset", "--network")
    assert (refused.code, networks.exists()) == (Exit.USAGE, True)
    assert (await claimable.run("reset", "--network", "--purge", "--yes")).code == Exit.USAGE
    done = await claimable.run("reset", "--network", "--yes")
    assert (done.code, networks.exists()) == (Exit.OK, False)
    assert "All else is kept" in done.out
    assert (await claimable.run("status", "--json")).json["claimed"] is True


async def test_a_token_that_the_cloud_refuses_is_refused(claimable: Shell, cloud: FakeCloud) -> None:
    done = await claimable.run("register", new_claim_token())
    assert done.code == Exit.REFUSED
    assert "REG-004" in done.err
    assert (await claimable.run("status", "--json")).json["claimed"] is False


async def test_a_claim_without_the_wanted_tpm_makes_no_key_elsewhere(
    claimable: Shell, cloud: FakeCloud
) -> None:
    wanted = {
        "METEOR_APPLIANCE_IDENTITY_KEY_STORE": "tpm",
        "METEOR_APPLIANCE_IDENTITY_TPM": f"device:{claimable.folder}/no-tpm",
    }
    done = await claimable.run("register", cloud.token, **wanted)
    assert done.code == Exit.FAILED
    assert "The device key is wanted in the TPM" in done.err
    assert not list((claimable.folder / "data" / "identity").glob("device.*"))


def test_a_cloud_that_is_away_is_tried_again_and_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("appliance.commandline.register._TRIES_S", (0.0, 0.0, 0.0))
    code = cli.run(shell.words("register", new_claim_token())[1:])
    assert code == Exit.UNREACHABLE
    assert "REG-005" in capsys.readouterr().err


async def test_the_buffer_can_be_looked_into(shell: Shell) -> None:
    async with await Store.open(shell.folder / "data" / "buffer" / "buffer.db") as store:
        await store.put(Draft("event", b"{}", Priority.CRITICAL, idempotency_key="night-1"))
        await store.put(Draft("event", b"{}", Priority.LOW, idempotency_key="night-2"))
        done = await shell.run("buffer", "ls", "--json")
        assert done.code == Exit.OK
        assert [row["key"] for row in done.json["rows"]] == ["night-1", "night-2"]
        assert done.json["levels"]["critical"]["count"] == 1
        low = await shell.run("buffer", "ls", "--json", "--priority", "low", "--limit", "1")
        assert [row["key"] for row in low.json["rows"]] == ["night-2"]
        assert "night-1" in (await shell.run("buffer", "ls")).out


async def test_one_message_is_shown_whole_by_its_uuid_or_its_key(shell: Shell) -> None:
    async with await Store.open(shell.folder / "data" / "buffer" / "buffer.db") as store:
        media = MediaStore(shell.folder / "data" / "buffer" / "media", store)
        (shell.folder / "sky.jpg").write_bytes(b"picture")
        ref = await media.add_file(shell.folder / "sky.jpg", "image/jpeg", "sky.jpg", "frame", move=False)
        gone = replace(ref, sha256="ab" * 32, name="gone.jpg")
        kept = await store.put(
            Draft(
                "event",
                b'{"confidence": 0.75}',
                Priority.HIGH,
                idempotency_key="night-1",
                expires_in=3600,
                media=(ref, gone),
            )
        )
        dead = await store.put(Draft("event", b"\x00\xff", Priority.LOW, idempotency_key="night-2"))
        await store.nack([kept.id], reason="500", retry_in=60)
        await store.nack([dead.id], reason="422 no such camera", retry_in=None, permanent=True)
        for name in (kept.uuid, "night-1"):
            [told] = (await shell.run("buffer", "show", name, "--json")).json["messages"]
            assert (told["uuid"], told["state"], told["tries"]) == (kept.uuid, "delayed", 1)
            assert told["payload"] == {"confidence": 0.75}
            assert 0 < told["next_try_s"] <= 60
            assert 0 < told["expires_s"] <= 3600
            assert [(file["name"], file["on_disk"]) for file in told["media"]] == [
                ("sky.jpg", True),
                ("gone.jpg", False),
            ]
        text = (await shell.run("buffer", "show", "night-1")).out
        assert '"confidence": 0.75' in text
        assert "NOT on the disk" in text
        shown = await shell.run("buffer", "show", "night-2")
        assert "422 no such camera" in shown.out
        assert "AP8= (base64)" in shown.out
        await store.ack([kept.id])
        left = await shell.run("buffer", "show", "night-1")
        assert (left.code, "not here any more" in left.err) == (Exit.FAILED, True)
        never = await shell.run("buffer", "show", "night-3")
        assert (never.code, "There is no message night-3" in never.err) == (Exit.FAILED, True)


async def test_the_buffer_is_exported_by_the_real_program(shell: Shell) -> None:
    async with await Store.open(shell.folder / "data" / "buffer" / "buffer.db") as store:
        await store.put(Draft("event", b"{}", Priority.HIGH, idempotency_key="night-1"))
    target = shell.folder / "rescued"
    done = await shell.run("buffer", "export", str(target))
    assert (done.code, done.err) == (Exit.OK, "")
    assert "1 messages with 0 files" in done.out
    again = await shell.run("buffer", "export", str(target))
    assert (again.code, "--force" in again.err) == (Exit.USAGE, True)
    lines = await shell.run("buffer", "export", "-", "--priority", "high")
    assert [json.loads(line)["key"] for line in lines.out.splitlines()] == ["night-1"]


# --- health -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code", "fault"), [(200, Exit.OK, None), (503, Exit.UNREACHABLE, "http")])
async def test_health_tells_whether_the_cloud_is_well(
    shell: Shell, status: int, code: Exit, fault: str | None
) -> None:
    async def well(_request: web.Request) -> web.Response:
        return web.json_response({"server_time": from_unix(0)}, status=status)

    app = web.Application()
    app.router.add_get("/health", well)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        done = await shell.run("health", "--json", "--api-url", url)
    assert (done.code, done.json["fault"], done.json["status"]) == (code, fault, status)
    assert done.json["clock_offset_s"] > 1e9, "how far this clock runs ahead"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://127.0.0.1:1", "refused"),
        ("nonsense", "connect"),
        ("http://", "connect"),
        ("ftp://127.0.0.1", "connect"),
    ],
)
async def test_health_names_the_part_of_the_way_that_is_broken(shell: Shell, url: str, fault: str) -> None:
    done = await shell.run("health", "--json", "--api-url", url)
    assert (done.code, done.json["fault"], done.json["reachable"]) == (Exit.UNREACHABLE, fault, False)


# --- permission ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [["status"], ["run"], ["register", new_claim_token()], ["reset", "--yes"]]
)
async def test_what_belongs_to_another_user_is_told_as_permission(shell: Shell, command: list[str]) -> None:
    data = shell.folder / "data"
    data.mkdir()
    data.chmod(0)
    try:
        done = await shell.run(*command)
    finally:
        data.chmod(0o700)
    assert done.code == Exit.PERMISSION
    assert str(data) in done.err
    assert "--data-dir" in done.err


async def test_a_machine_id_that_may_not_be_read_is_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board = Board(hostname="meteor", closed=("etc/machine-id",))
    monkeypatch.setattr("appliance.commandline.fingerprint.read_board", lambda: board)
    assert cli.run(["generate-fingerprint"]) == Exit.FAILED
    told = capsys.readouterr().err
    assert "/etc/machine-id cannot be read" in told
    assert "chmod" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("closed", [".", "config.toml", "config.d"])
async def test_settings_of_another_user_are_told_with_the_remedy(shell: Shell, closed: str) -> None:
    folder = shell.folder / "etc"
    (folder / "config.d").mkdir(parents=True)
    (folder / "config.toml").write_text('[device]\nname = "x"\n')
    (folder / "config.d/10.toml").write_text('[device]\nname = "y"\n')
    (folder / closed).chmod(0)
    try:
        done = await shell.run("--config", str(folder / "config.toml"), "settings")
    finally:
        (folder / closed).chmod(0o700)
    assert done.code == Exit.SETTINGS
    assert str(folder / closed).removesuffix("/.") in done.err
    assert "owner and mode" in done.err
    assert "Traceback" not in done.err


async def test_a_socket_of_another_user_is_told_as_permission_and_not_as_a_stopped_station(
    shell: Shell,
) -> None:
    async with shell.running():
        control = shell.folder / "data" / "run" / "control.sock"
        control.chmod(0)
        for command in (["status"], ["reset", "--yes"], ["register", new_claim_token()]):
            done = await shell.run(*command)
            assert done.code == Exit.PERMISSION, command
            assert str(control) in done.err
        assert not (shell.folder / "data/state/reset.json").exists()


# --- with a running station ---------------------------------------------------------------------------------


async def test_status_and_portal_tell_the_same_truth(claimable: Shell) -> None:
    async with claimable.running(), aiohttp.ClientSession() as browser:
        await claimable.told(lambda seen: seen["state"] == "setup")
        async with browser.get(f"http://127.0.0.1:{claimable.port}/api/status") as response:
            facts = (await response.json())["facts"]
        done = await claimable.run("status", "--json")
        assert (done.code, done.json["running"]) == (Exit.OK, True)
        for name in ("state", "phase", "short_id", "claimed", "key_storage"):
            assert facts[name] == done.json[name], name
        text = (await claimable.run("status")).out
        card = done.json["card"]
        assert f"short id {card['short_id']}, PIN {card['pin'][:3]} {card['pin'][3:]}" in text


async def test_files_are_handed_in_as_one_event(claimable: Shell) -> None:
    pictures = [claimable.folder / name for name in ("a.jpg", "b.jpg")]
    for picture in pictures:
        picture.write_bytes(picture.name.encode() * 1000)
    words = ["event", "send", *map(str, pictures), "--type", "fireball", "--priority", "critical"]
    async with claimable.running():
        done = await claimable.run(*words, "--time", "2026-08-12T22:14:03Z")
        assert done.code == Exit.OK
        assert re.match(r"Accepted as [0-9a-f-]{36}\.\n", done.out)
        again = await claimable.run(*words, "--time", "2026-08-12T22:14:03Z")
        assert "known already" in again.out
        bad = await claimable.run("event", "send", str(pictures[0]), "--time", "yesterday")
        assert bad.code == Exit.REFUSED
        assert "timestamp" in bad.err
        listing = (await claimable.run("buffer", "ls", "--json", "--priority", "critical")).json
    assert [row["media"] for row in listing["rows"]] == [2]


async def test_flush_says_what_still_waits_and_why(claimable: Shell, cloud: FakeCloud) -> None:
    """Nobody owns it yet, then the cloud is away, then all goes."""
    write_scenario(claimable.folder, ethernet=True)
    (claimable.folder / "a.jpg").write_bytes(b"x")
    async with claimable.running():
        assert (await claimable.run("event", "send", str(claimable.folder / "a.jpg"))).code == Exit.OK
        done = await claimable.run("buffer", "flush")
        assert (done.code, "belongs to nobody" in done.out) == (Exit.OK, True)
        waits = await claimable.run("buffer", "flush", "--wait", "0.1", "--json")
        assert waits.code == Exit.WAITING
        assert (waits.json["claimed"], waits.json["waiting"]["high"]) == (False, 1)
        assert "messages wait" in waits.err
        assert (await claimable.run("register", cloud.token)).code == Exit.OK
        done = await claimable.run("buffer", "flush", "--wait", "60")
        assert (done.code, done.out) == (Exit.OK, "Nothing waits.\n")
        write_scenario(claimable.folder, in_range=False)
        await claimable.told(lambda seen: not seen["network"]["online"])
        await claimable.run("event", "send", str(claimable.folder / "a.jpg"), "--type", "fireball")
        away = await claimable.run("buffer", "flush", "--wait", "3")
        assert away.code == Exit.WAITING
        assert "breaker" in away.out


async def test_single_dead_messages_are_tried_again(shell: Shell) -> None:
    path = shell.folder / "data" / "buffer" / "buffer.db"
    async with await Store.open(path) as store:
        receipts = [
            await store.put(Draft("event", b"{}", Priority.LOW, idempotency_key=f"night-{n}"))
            for n in range(4)
        ]
        ids = [receipt.id for receipt in receipts]
        await store.nack(ids, reason="422", retry_in=None, permanent=True)
    async with shell.running():
        done = await shell.run("buffer", "retry", receipts[0].uuid, "night-2")
        assert (done.code, done.out) == (Exit.OK, "2 messages wait again.\n")
        again = await shell.run("buffer", "retry", "night-2", "night-3", "--json")
        assert again.code == Exit.FAILED
        assert again.json == {"revived": 1, "unknown": ["night-2"]}
        rest = await shell.run("buffer", "retry")
        assert (rest.code, rest.out) == (Exit.OK, "1 messages wait again.\n")


async def test_a_running_station_takes_a_code_and_says_what_became_of_it(
    claimable: Shell, cloud: FakeCloud
) -> None:
    write_scenario(claimable.folder, ethernet=True)
    async with claimable.running():
        refused = await claimable.run("register", new_claim_token())
        assert (refused.code, "REG-004" in refused.err) == (Exit.REFUSED, True)
        elsewhere = await claimable.run("register", cloud.token, "--api-url", "https://other.example")
        assert (elsewhere.code, "CTL-002" in elsewhere.err) == (Exit.REFUSED, True)
        done = await claimable.run("register", cloud.token)
        assert done.code == Exit.OK, done.err
        assert "North roof" in done.out
        again = await claimable.run("register", cloud.token)
        assert (again.code, "REG-003" in again.err) == (Exit.REFUSED, True)


async def test_a_reset_of_a_running_station_makes_it_another_one_in_the_same_process(
    claimable: Shell, cloud: FakeCloud
) -> None:
    write_scenario(claimable.folder, ethernet=True)
    async with claimable.running() as process:
        await claimable.run("register", cloud.token)
        before = (await claimable.run("status", "--json")).json
        cloud.owned = False
        assert (await claimable.run("reset", "--yes")).code == Exit.OK
        facts = await claimable.told(
            lambda seen: seen.get("short_id", before["short_id"]) != before["short_id"]
        )
        assert facts["claimed"] is False
        assert process.returncode is None


async def test_a_second_station_in_the_same_folder_is_refused_and_the_first_goes_on(shell: Shell) -> None:
    async with shell.running():
        second = await shell.run("run", "--simulate")
        assert second.code == Exit.FAILED
        assert "BUF-002" in second.err
        assert (await shell.run("status", "--json")).json["running"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_success(shell: Shell, number: signal.Signals) -> None:
    async with shell.running() as process:
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_broken_pipe_is_no_news(shell: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "settings", stdout=write, stderr=asyncio.subprocess.PIPE
    )
    os.close(write)
    _, err = await process.communicate()
    assert b"Traceback" not in err
