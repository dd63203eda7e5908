"""How the program begins anew when a technician asked for it: with and without a service manager."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from appliance import cli
from appliance.commandline.exits import Exit


@pytest.fixture
def restarting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A station whose life ends with the wish for a restart, and the words of its command."""
    from appliance import daemon, footprint, logs

    async def live(*_: object) -> daemon.Ending:
        return daemon.Ending.RESTART

    monkeypatch.setattr(daemon, "run", live)
    monkeypatch.setattr(footprint, "hurry", lambda: None)
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    return ["--data-dir", str(tmp_path / "data"), "run"]


def test_under_a_service_manager_a_restart_is_an_exit_code(
    restarting: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")
    assert cli.run(restarting) is Exit.RESTART


def test_without_one_the_program_starts_itself_again(
    restarting: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr("os.execv", lambda _, words: started.append(words))
    cli.run(restarting)
    assert started == [[sys.executable, *sys.orig_argv[1:]]]
