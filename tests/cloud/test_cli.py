"""`meteor-cloud` at the command line: what it prints, with which exit code, and that errors are one line."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cloud.security.vault import Vault
from cloud.store.migrate import newest
from tests.cloud.cloud_process import ROOT, CloudProcess

PASSWORD = "correct horse battery"


def run(
    *arguments: object, environment: dict[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cloud", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        input=text,
        timeout=60,
        env=os.environ | (environment or {}),
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line of an error."""
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("meteor-cloud: ")
    return done.stderr


def test_help_names_settings_and_exit_codes() -> None:
    done = run("run", "--help")
    assert done.returncode == 0
    for words in ("METEOR_CLOUD_", "database_url", "exit codes:", "  5  the server cannot start"):
        assert words in done.stdout


def test_a_production_server_names_every_secret_that_is_missing(tmp_path: Path) -> None:
    line = refused(run("run", "--data-dir", tmp_path / "x", "--port", 0), 3)
    for name in ("pepper", "intermediate key", "configuration-signing key", "CLD-002", "ca init"):
        assert name in line


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(run("run", "--development", "--data-dir", tmp_path, "--port", port), 5)
    assert f"Port {port} on 127.0.0.1 is in use" in line


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    environment = {"METEOR_CLOUD_PROT": "1"}
    assert "prot" in refused(run("settings", "--data-dir", tmp_path, environment=environment), 3)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    told = run("migrate", "--data-dir", tmp_path).stdout
    assert told.startswith(f"The database is at {newest()}, it was at nothing")
    with sqlite3.connect(tmp_path / "cloud.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "another version" in refused(run("migrate", "--data-dir", tmp_path), 4)
    assert "another version" in refused(run("run", "--development", "--data-dir", tmp_path, "--port", 0), 4)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused(run("run", "--development", "--data-dir", tmp_path / "file" / "x", "--port", 0), 5)
    assert "file/x" in line


def test_a_production_server_starts_after_ca_init_without_the_roots_key(tmp_path: Path) -> None:
    made = run("ca", "init", "--data-dir", tmp_path)
    assert made.returncode == 0
    assert "offline" in made.stdout
    Vault(tmp_path / "secrets").root_key.unlink()
    shown = run("ca", "show", "--data-dir", tmp_path)
    assert shown.stdout.startswith("-----BEGIN CERTIFICATE-----")
    command = [sys.executable, "-m", "cloud", "run", "--data-dir", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        [*command, "--log-format", "json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Cloud ready at http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Demo" not in output
    records = [json.loads(line) for line in errors.splitlines()]
    assert [record["message"] for record in records] == ["stopping", "stopped"]
    assert all(record["service"] == "meteor-cloud" for record in records)
    assert not (tmp_path / "demo-account.txt").exists()


def test_an_authority_is_not_made_twice(tmp_path: Path) -> None:
    assert run("ca", "init", "--data-dir", tmp_path).returncode == 0
    assert "already" in refused(run("ca", "init", "--data-dir", tmp_path), 5)


def test_an_account_is_made_with_a_password_from_standard_input(tmp_path: Path) -> None:
    made = run("create-user", "ada@example.org", "--data-dir", tmp_path, "--password-stdin", text=PASSWORD)
    assert (made.returncode, made.stdout) == (0, "Account ada@example.org made.\n")
    again = run("create-user", "ada@example.org", "--data-dir", tmp_path, "--password-stdin", text=PASSWORD)
    refused(again, 6)
    refused(run("create-user", "eve@example.org", "--data-dir", tmp_path, "--password-stdin", text="x"), 6)
    stored = (tmp_path / "cloud.db").read_bytes()
    assert PASSWORD.encode() not in stored


def test_the_effective_settings_show_no_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://user:hidden@db/meteor"
    done = run("settings", "--data-dir", tmp_path, "--database-url", url)
    assert done.returncode == 0
    assert "hidden" not in done.stdout
    assert "postgresql+psycopg://user:***@db/meteor" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "--port", "x"], ["ca"]])
def test_wrong_arguments_are_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


@pytest.mark.e2e
def test_the_demo_account_is_printed_once_and_kept_private(tmp_path: Path) -> None:
    process = CloudProcess(tmp_path / "c")
    process.start()
    try:
        assert process.process is not None
        assert process.process.stdout is not None
        told = process.process.stdout.readline().decode()
        email, password = process.demo()
        assert told == f"Demo account: {email} with password {password}\n"
        assert (tmp_path / "c" / "demo-account.txt").stat().st_mode & 0o777 == 0o600
        modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "c").rglob("*")}
        assert modes == {0}, "nothing is readable by others"
        assert password not in process.log.read_text()
    finally:
        process.kill()


def test_a_batch_prints_codes_and_writes_labels_that_only_the_owner_can_read(tmp_path: Path) -> None:
    data, listed, sheet = tmp_path / "data", tmp_path / "roofs.csv", tmp_path / "labels.html"
    listed.write_text('name,location\nRoof 1,"47.05, 8.31"\nRoof 2,\n')
    assert run("ca", "init", "--data-dir", data).returncode == 0
    refused(run("batch", listed, "--owner", "ada@example.org", "--data-dir", data), 8)
    run("create-user", "ada@example.org", "--data-dir", data, "--password-stdin", text=PASSWORD)
    done = run("batch", listed, "--owner", "Ada@example.org", "--data-dir", data, "--sheet", sheet)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["name"] for row in rows] == ["Roof 1", "Roof 2"]
    assert sheet.stat().st_mode & 0o777 == 0o600
    text = sheet.read_text()
    assert all(row["claim_token"] in text for row in rows)
    assert text.count("<path d=") >= 2
    assert rows[0]["claim_token"].encode() not in (data / "cloud.db").read_bytes()
    listed.write_text("name\n" + "R" * 81 + "\n")
    assert "$.stations[0].name" in refused(
        run("batch", listed, "--owner", "ada@example.org", "--data-dir", data), 8
    )


def test_a_list_of_keys_is_read_from_standard_input(tmp_path: Path) -> None:
    assert run("ca", "init", "--data-dir", tmp_path).returncode == 0
    run("create-user", "ada@example.org", "--data-dir", tmp_path, "--password-stdin", text=PASSWORD)
    words = ("preauthorize", "-", "--owner", "ada@example.org", "--data-dir", tmp_path)
    listed = f"keyid,name\n{'A' * 43},Roof\n{'B' * 43},\n"
    assert "2 keys expected until" in run(*words, text=listed).stdout
    assert "0 keys expected until" in run(*words, text=listed).stdout
    refused(run(*words, text="keyid\nshort\n"), 8)


def test_dead_registrations_are_shown_and_put_back(tmp_path: Path) -> None:
    assert run("registrations", "ls", "--data-dir", tmp_path).stdout == "Nothing.\n"
    row = ("reg_1", "DEVICE_REGISTERED", "clm_1", "dead", 5, 0, "away", 0, 0)
    with sqlite3.connect(tmp_path / "cloud.db") as connection:
        connection.execute(
            "INSERT INTO registration (id, kind, claim_id, state, attempts, due, error, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
    shown = run("registrations", "ls", "--dead", "--data-dir", tmp_path).stdout
    assert "reg_1  dead  5" in shown
    assert "away" in shown
    assert run("registrations", "retry", "reg_1", "--data-dir", tmp_path).stdout.startswith("1 put back")
    assert "queued" in run("registrations", "ls", "--data-dir", tmp_path).stdout
    refused(run("registrations", "retry", "reg_1", "--data-dir", tmp_path), 8)
    assert run("registrations", "retry", "--data-dir", tmp_path).stdout.startswith("0 put back")
