"""Taking meteor.txt from real folders: once, durably, without its secrets after, whatever is in the way."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.headless import boot
from appliance.headless.boot import BootFile
from appliance.identity.hotspot import HotspotKey
from appliance.network.port import Credentials, Security
from protocol.codes import ClaimCode

TOKEN = "mct_" + "B" * 43
DAY = 1_767_225_600.0  # 2026-01-01
SECRETS = ("correct horse", "my own key!", TOKEN)
WHOLE = (
    "# Anna's station\r\nhotspot_key = my own key!\r\nhotspot = open\r\ncountry = de\r\nwifi_name = Home\r\n"
    f"wifi_password = correct horse\r\nhidden = yes\r\nclaim_code = {TOKEN}\r\nlanguage = de\r\n"
)
HOME = Credentials(b"Home", "correct horse", Security.WPA2, hidden=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "firmware").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "firmware"


def write(folder: Path, text: str, name: str = "meteor.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def start(folder: Path) -> BootFile:
    """As at a start of the station."""
    home = folder.parent
    taken = BootFile(
        (str(folder), str(home / "boot")), home / "state/boot.json", HotspotKey(home / "id"), lambda: DAY
    )
    taken.take()
    return taken


def check_taken(taken: BootFile) -> None:
    assert taken.wifi == HOME
    assert taken.claim_code == ClaimCode(TOKEN)
    assert (taken.hotspot_open, taken.country, taken.language) == (True, "DE", "de")
    assert taken._key.current() == "my own key!"


@pytest.mark.parametrize("name", ["meteor.txt", "METEOR.TXT", "Meteor.txt.txt"])
def test_the_file_is_taken_at_the_first_start_under_the_names_that_computers_give_it(
    folder: Path, name: str
) -> None:
    write(folder, WHOLE, name)
    check_taken(start(folder))


def test_the_second_folder_is_looked_into_when_the_first_has_none(folder: Path) -> None:
    (folder.parent / "boot").mkdir()
    write(folder.parent / "boot", WHOLE)
    check_taken(start(folder))


def test_secrets_leave_the_file_and_the_rest_stays_readable(folder: Path) -> None:
    path = write(folder, WHOLE)
    start(folder)
    text = path.read_bytes().decode()
    assert not any(secret in text for secret in SECRETS)
    assert "# wifi_password: taken on 2026-01-01\r\n" in text
    assert "# wifi_name: taken on 2026-01-01 (wifi_name = Home)\r\n" in text
    assert "country = de\r\n" in text
    assert "# Anna's station\r\n" in text
    result = (folder / "meteor-result.txt").read_text()
    assert "2026-01-01" in result
    assert "wifi_password: taken from line 6" in result
    assert not any(secret in result for secret in SECRETS)
    assert sorted(each.name for each in folder.iterdir()) == ["meteor-result.txt", "meteor.txt"]


def test_what_was_taken_outlives_restarts_and_is_not_taken_again(folder: Path) -> None:
    write(folder, WHOLE)
    start(folder)
    again = start(folder)
    check_taken(again)
    again.joined()
    again.recorded()
    third = start(folder)
    assert (third.wifi, third.claim_code) == (None, None)
    assert third.hotspot_open


def test_a_changed_file_is_taken_again_and_settings_follow_it(folder: Path) -> None:
    path = write(folder, WHOLE)
    first = start(folder)
    first.joined()
    write(folder, path.read_text().replace("hotspot = open", "") + "\nwifi_name = Barn\nwifi_password =\n")
    second = start(folder)
    assert second.wifi == Credentials(b"Barn", None, Security.OPEN, hidden=False)
    assert not second.hotspot_open
    assert second._key.current() == "my own key!", "the key stays until another one is written"


def test_a_removed_file_changes_nothing(folder: Path) -> None:
    path = write(folder, WHOLE)
    start(folder)
    path.unlink()
    check_taken(start(folder))


class _PowerCutError(BaseException):
    pass


@pytest.mark.parametrize("step", ["before the copy", "before the rewrite", "before the result"])
def test_a_power_cut_between_taking_and_rewriting_loses_nothing_and_takes_nothing_twice(
    folder: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(folder, WHOLE)
    whole = boot._replace

    def cut(*_arguments: object) -> None:
        raise _PowerCutError

    def cut_at_result(place: Path, data: bytes) -> None:
        if place.name == boot.RESULT:
            raise _PowerCutError
        whole(place, data)

    with monkeypatch.context() as patch:
        if step == "before the copy":
            patch.setattr(boot, "write_atomically", cut)
        else:
            patch.setattr(boot, "_replace", cut if step == "before the rewrite" else cut_at_result)
        with pytest.raises(_PowerCutError):
            start(folder)
    again = start(folder)
    check_taken(again)
    assert not any(secret in path.read_text() for secret in SECRETS)
    again.joined()
    assert start(folder).wifi is None


def test_a_network_that_was_joined_is_not_chosen_again_after_a_cut_before_the_rewrite(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(folder, WHOLE)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(boot, "_replace", full)
        start(folder).joined()
    assert "correct horse" in path.read_text()
    later = BootFile(
        (str(folder),),
        folder.parent / "state/boot.json",
        HotspotKey(folder.parent / "id"),
        lambda: DAY + 86_400,
    )
    later.take()
    assert later.wifi is None
    assert "correct horse" not in path.read_text()
    assert start(folder).wifi is None, "although the date in the file was another one than expected"


READ_ONLY = """
import sys
from pathlib import Path
from appliance.headless.boot import BootFile
from appliance.identity.hotspot import HotspotKey
home = Path(sys.argv[1])
taken = BootFile((str(home / "firmware"),), home / "state/boot.json", HotspotKey(home / "id"), lambda: 0.0)
taken.take()
print(taken.wifi.ssid.decode(), [notice.code for notice in taken.notices])
"""


def test_a_read_only_partition_is_taken_and_the_person_is_told_of_the_passwords(folder: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may mount a folder read-only")
    path = write(folder, WHOLE)
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    probe = subprocess.run([*inside, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"a folder cannot be mounted read-only here: {probe.stderr.strip()}")
    command = [*inside, sys.executable, "-c", READ_ONLY, str(folder.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "Home ['BOOT-003']\n"
    assert path.read_bytes() == WHOLE.encode()
    assert not (folder / "meteor-result.txt").exists()
    assert start(folder).wifi == HOME, "and writable again, it is cleaned"
    assert not any(secret in path.read_text() for secret in SECRETS)


@pytest.mark.parametrize("kind", ["a folder", "too large", "no folder at all", "zeros"])
def test_nothing_on_the_partition_keeps_the_station_from_starting(folder: Path, kind: str) -> None:
    if kind == "a folder":
        (folder / "meteor.txt").mkdir()
    elif kind == "too large":
        write(folder, "# \n" * 40_000)
    elif kind == "no folder at all":
        folder.rmdir()
    else:
        write(folder, "\0" * 4096)
    taken = start(folder)
    assert taken.wifi is None
    codes = [notice.code for notice in taken.notices]
    assert codes == (["BOOT-002"] if kind in ("a folder", "too large") else [])


def test_a_wrong_line_is_told_at_every_start_until_it_is_corrected(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(folder, "country = Germany\nwifi_name = Home\nwifi_password = correct horse\n")
    for _ in range(2):
        caplog.clear()
        taken = start(folder)
        assert [notice.code for notice in taken.notices] == ["BOOT-001"]
        assert "line 1 of meteor.txt" in caplog.text
        assert "correct horse" not in caplog.text
    assert "line 1 of meteor.txt" in (folder / "meteor-result.txt").read_text()
    path.write_text(path.read_text().replace("Germany", "DE"))
    assert start(folder).notices == ()
    assert "line 1 of meteor.txt cannot" not in (folder / "meteor-result.txt").read_text()


def test_a_damaged_copy_is_made_anew(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder, WHOLE)
    (folder.parent / "state/boot.json").write_bytes(b"\xff{")
    with caplog.at_level(logging.WARNING):
        check_taken(start(folder))
    assert "damaged" in caplog.text


def test_the_stations_copy_is_for_its_owner_alone(folder: Path) -> None:
    write(folder, WHOLE)
    start(folder)
    assert (folder.parent / "state/boot.json").stat().st_mode & 0o777 == 0o600


# --- claim.txt ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\r\n", f"\ufeff  {TOKEN}  \n", f"claim_code = {TOKEN}\n"])
@pytest.mark.parametrize("name", ["claim.txt", "CLAIM.TXT", "claim.txt.txt"])
def test_a_file_with_the_claim_code_alone_is_enough(folder: Path, text: str, name: str) -> None:
    path = write(folder, text, name)
    taken = start(folder)
    assert (taken.claim_code, taken.notices) == (ClaimCode(TOKEN), ())
    assert TOKEN not in path.read_text("utf-8-sig")
    assert "claim_code: taken from line 1" in (folder / "meteor-result.txt").read_text()


def test_both_files_are_taken_and_neither_undoes_the_other(folder: Path) -> None:
    write(folder, WHOLE.replace(f"claim_code = {TOKEN}\r\n", ""))
    write(folder, TOKEN, "claim.txt")
    for _ in range(2):
        check_taken(start(folder))
    told = (folder / "meteor-result.txt").read_text()
    assert "read meteor.txt" in told
    assert "claim_code: taken from line 1" in told


def test_a_used_claim_code_is_not_taken_again_and_another_one_is(folder: Path) -> None:
    write(folder, TOKEN, "claim.txt")
    start(folder).recorded()
    assert start(folder).claim_code is None
    other = "mct_" + "C" * 43
    write(folder, other, "claim.txt")
    assert start(folder).claim_code == ClaimCode(other)


def test_the_whole_text_of_an_accounts_qr_code_keeps_its_pin_over_a_restart(folder: Path) -> None:
    write(folder, f"METEOR1|https://cloud.example|{TOKEN}|{'a' * 64}", "claim.txt")
    for _ in range(2):
        assert start(folder).claim_code == ClaimCode(TOKEN, "a" * 64)


def test_a_damaged_claim_code_names_its_file_and_what_it_looks_like(folder: Path) -> None:
    write(folder, TOKEN[:-3], "claim.txt")
    [fault] = start(folder).notices
    assert (fault.code, "claim.txt" in str(fault.sentence)) == ("BOOT-001", True)
    assert "47 characters" in str(fault.action)
