"""The packages in a clean Debian: installed, run, upgraded, taken back, purged. `make test-packages`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.debian.__main__ import build, version
from scripts.debian.chroot import Chroot, ChrootUnavailable, CommandFailed, debian

NEXT = "0.1.1"
PLACE = "/usr/lib/meteor-appliance"
SYSTEM = ("ca-certificates", "procps")

pytestmark = [
    pytest.mark.skipif("METEOR_PACKAGES" not in os.environ, reason="`make test-packages` builds and runs it"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The packages of this version and of one that comes after it."""
    try:
        return {each: build(tmp_path_factory.mktemp(each), each) for each in (version(), NEXT)}
    except ChrootUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def installed(built: dict[str, list[Path]]) -> Iterator[Chroot]:
    """A clean Debian with the packages and all that they depend on."""
    with debian(SYSTEM).copy() as root:
        shutil.copy("/etc/resolv.conf", root.folder / "etc/resolv.conf")
        for each, packages in built.items():
            (root.folder / "srv" / each).mkdir()
            for package in packages:
                shutil.copy(package, root.folder / "srv" / each)
        root.run("apt-get", "-qq", "update", network=True)
        install(root, version())
        yield root


def install(root: Chroot, wanted: str) -> str:
    """As a person would, from files: whatever version is there before."""
    command = f"apt-get -qq install --yes --allow-downgrades /srv/{wanted}/*.deb"
    return root.run("bash", "-c", command, network=True)


def points_to(root: Chroot) -> str:
    return str((root.folder / PLACE.lstrip("/") / "current").readlink())


def test_the_commands_run_from_any_folder_with_debians_libraries(installed: Chroot) -> None:
    assert installed.run("meteor-appliance", "version", cwd="/tmp").startswith(
        f"meteor-appliance {version()}"
    )
    assert "usage: meteor-cloud" in installed.run("meteor-cloud", "--help", cwd="/tmp")


def test_the_commands_take_no_module_of_the_folder_they_are_called_from(installed: Chroot) -> None:
    (installed.folder / "tmp/appliance").mkdir()
    (installed.folder / "tmp/appliance/__init__.py").write_text("raise SystemExit('foreign')\n")
    (installed.folder / "tmp/aiohttp.py").write_text("raise SystemExit('foreign')\n")
    said = installed.run("meteor-appliance", "version", cwd="/tmp", env={"PYTHONPATH": "/tmp"})
    assert said.startswith("meteor-appliance")


def test_users_units_and_rules_are_there(installed: Chroot) -> None:
    for user in ("meteor", "meteor-cloud"):
        assert "nologin" in installed.run("getent", "passwd", user)
    assert (installed.folder / "usr/share/polkit-1/rules.d/50-meteor-appliance.rules").is_file()
    wanted = installed.folder / "etc/systemd/system/multi-user.target.wants"
    assert (wanted / "meteor-appliance.service").is_symlink()
    assert not (wanted / "meteor-cloud.service").is_symlink(), "it needs keys first"
    installed.run("systemd-analyze", "verify", "--man=no", "meteor-appliance.service", "meteor-cloud.service")


def test_the_clouds_service_is_shut_in(installed: Chroot) -> None:
    installed.run("systemd-analyze", "security", "--offline=true", "--threshold=20", "meteor-cloud.service")


ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/health').read())"
AS_CLOUD = "runuser -u meteor-cloud -- meteor-cloud"


def test_the_cloud_makes_its_keys_and_serves_as_its_own_user(installed: Chroot) -> None:
    (installed.folder / "srv/serve.sh").write_text(
        "install -d -o meteor-cloud -m 700 /var/lib/meteor-cloud\n"
        f"{AS_CLOUD} ca init || exit 1\n"
        f"{AS_CLOUD} run & served=$!\n"
        f'for try in $(seq 100); do python3 -c "{ASK}" 2>/dev/null && break; sleep 0.3; done\n'
        "kill $served; wait $served; exit 0\n"
    )
    assert '"ok"' in installed.run("bash", "/srv/serve.sh")
    assert (installed.folder / "var/lib/meteor-cloud/cloud.db").stat().st_uid != 0


def test_an_upgrade_and_the_way_back_move_the_link_and_keep_the_data(installed: Chroot) -> None:
    kept = installed.folder / "var/lib/meteor/record"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("kept")
    install(installed, NEXT)
    assert points_to(installed) == NEXT
    folders = {each.name for each in (installed.folder / PLACE.lstrip("/")).iterdir()}
    assert {version(), NEXT} <= folders, "the version before stays, for the way back"
    assert "meteor-appliance" in installed.run("meteor-appliance", "version")
    install(installed, version())
    assert points_to(installed) == version()
    assert kept.read_text() == "kept"


def test_a_link_that_leads_nowhere_says_what_to_do(installed: Chroot) -> None:
    link = installed.folder / PLACE.lstrip("/") / "current"
    link.unlink()
    with pytest.raises(CommandFailed, match="apt install --reinstall meteor-appliance"):
        installed.run("meteor-appliance", "version")
    link.symlink_to(version())


def test_purged_packages_leave_nothing_but_the_clouds_data(installed: Chroot) -> None:
    """Last: accounts, events and keys of a cloud are somebody's; a station's card belongs to the station."""
    installed.run("bash", "-c", "apt-get -qq purge --yes 'meteor-*' python3-nmcli")
    left = {"usr/lib/meteor-appliance", "usr/lib/meteor-cloud", "var/lib/meteor", "etc/meteor-appliance"}
    assert not [each for each in left if (installed.folder / each).exists()]
    assert (installed.folder / "var/lib/meteor-cloud/cloud.db").is_file()
