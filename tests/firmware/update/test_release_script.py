"""The maker's command line: keys, releases and rotated keys that a station takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.update.book import State
from firmware.update.reasons import Refused
from firmware.update.trust import anchor
from scripts import release
from tests.firmware.update.world import NEW, World, files_of


def test_a_release_of_the_script_is_installed_and_one_after_a_rotation_too(tmp_path: Path) -> None:
    made, keys, build = World(tmp_path / "world"), tmp_path / "keys", tmp_path / "build"
    release.main(["keys", str(keys)])
    assert (keys / "root-1.pem").stat().st_mode & 0o077 == 0
    made.root = (keys / "1.root.json").read_bytes()
    for name, content in files_of(NEW).items():
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_bytes(content)
    made.time.wall_at = 2e9  # the script signs with today's date, which is not trusted here
    made.time.trusted = False
    publish = ["publish", str(made.source), str(build), "--version", NEW, "--serial"]
    release.main([*publish, "1", "--key", str(keys / "release-1.pem")])
    made.live()
    assert made.results == [(NEW, "installed", "")]
    assert made.is_whole(NEW)

    release.main(["rotate", str(keys), str(made.source)])
    agent = made.agent()
    old = agent.check(asked=True)
    assert old is not None
    assert old.code == "UPD-002", "what the old release key signed"
    publish[4] = "1.2.0"
    release.main([*publish, "2", "--key", str(keys / "release-2.pem")])
    assert agent.check(asked=True) is None
    assert agent.book.state is State.AVAILABLE


def test_a_wrong_manifest_is_not_published(tmp_path: Path) -> None:
    release.main(["keys", str(tmp_path / "keys")])
    (tmp_path / "build").mkdir()
    words = [
        "publish",
        str(tmp_path / "out"),
        str(tmp_path / "build"),
        "--version",
        "latest",
        "--serial",
        "1",
    ]
    with pytest.raises(Refused, match="version"):
        release.main([*words, "--key", str(tmp_path / "keys/release-1.pem")])
    assert not (tmp_path / "out/release.json").exists()
    assert anchor((tmp_path / "keys/1.root.json").read_bytes()).document.root.threshold == 2
