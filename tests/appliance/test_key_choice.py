"""Which store the station's key is in: the file that is there decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.identity.keys import KeyDamaged
from appliance.identity.stores import Wish, store_of


@pytest.mark.parametrize(
    ("wish", "file"), [("auto", "device.key"), ("file", "device.key"), ("tpm", "device.tpm")]
)
def test_a_new_key_is_made_where_the_settings_say(tmp_path: Path, wish: Wish, file: str) -> None:
    assert store_of(tmp_path, wish).file == file


@pytest.mark.parametrize("wish", ["auto", "file", "tpm"])
@pytest.mark.parametrize("file", ["device.key", "device.tpm"])
def test_a_key_that_is_there_stays_where_it_is(tmp_path: Path, wish: Wish, file: str) -> None:
    (tmp_path / file).touch()
    assert store_of(tmp_path, wish).file == file


def test_a_wish_that_cannot_count_any_more_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "device.key").touch()
    store_of(tmp_path, "auto")
    store_of(tmp_path, "file")
    assert not caplog.records
    store_of(tmp_path, "tpm")
    assert "identity.key_store = tpm counts for a new key only" in caplog.text


def test_two_keys_are_an_error_that_names_both(tmp_path: Path) -> None:
    for name in ("device.key", "device.tpm"):
        (tmp_path / name).touch()
    with pytest.raises(KeyDamaged, match=r"device\.key and .*device\.tpm are both there.*[Mm]ove away"):
        store_of(tmp_path)
