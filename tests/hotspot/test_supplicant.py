"""The control socket of the real wpa_supplicant; it has no radio here, which `tests/wifi` has."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.hotspot.conftest import ROOT
from tests.namespaces import Namespace, taken_away, why_no_namespaces
from tests.visitor import eventually

pytestmark = [pytest.mark.hotspot, pytest.mark.timeout(300)]


def test_events_of_the_real_supplicant_are_heard() -> None:
    if reason := why_no_namespaces("unshare", "wpa_supplicant", "wpa_cli"):
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    space, programs = Namespace.made("station"), list[subprocess.Popen[bytes]]()
    with taken_away(folder, [space], programs):
        sockets, heard = folder / "sockets", folder / "heard.log"
        command = ("wpa_supplicant", "-D", "wired", "-i", "lo", "-C", sockets)
        programs.append(space.popen(*command, log=folder / "supplicant.log"))
        eventually((sockets / "lo").exists, "the supplicant opens its socket")
        programs.append(
            space.popen(sys.executable, ROOT / "tests/hotspot/listen.py", "lo", sockets, log=heard)
        )
        eventually(lambda: "CTRL-EVENT" in _told(space, sockets, heard), "its events are heard")


def _told(space: Namespace, sockets: Path, heard: Path) -> str:
    """Asks for something that makes it speak, until the listener is there."""
    for word in ("disconnect", "reconnect"):
        space.run("wpa_cli", "-p", sockets, "-i", "lo", word, check=False)
    return heard.read_text()
