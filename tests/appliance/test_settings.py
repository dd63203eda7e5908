"""The station's settings: who overrides whom, and errors that name the place, the field and the remedy."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import settings as module
from appliance.settings import Settings, SettingsRefused, describe, load

LAYERS = ("default", "file", "config.d/10", "config.d/20", "environment", "flag")


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "CONFIG_FILE", tmp_path / "etc" / "config.toml")


@pytest.mark.parametrize("highest", range(len(LAYERS)))
def test_each_layer_overrides_all_weaker_ones(tmp_path: Path, highest: int) -> None:
    given = LAYERS[: highest + 1]
    main = tmp_path / "config.toml"
    main.write_text('[device]\nname = "file"\n' if "file" in given else "")
    (tmp_path / "config.d").mkdir()
    for number in ("10", "20"):
        if f"config.d/{number}" in given:
            text = f'[device]\nname = "config.d/{number}"\n'
            (tmp_path / "config.d" / f"{number}.toml").write_text(text)
    environment = {"METEOR_APPLIANCE_DEVICE_NAME": "environment"} if "environment" in given else {}
    flags = {"device.name": "flag"} if "flag" in given else {}
    expected = "Meteor station" if highest == 0 else LAYERS[highest]
    assert load(main, environment, flags).device.name == expected


def test_layers_are_merged_field_by_field(tmp_path: Path) -> None:
    main = write(tmp_path, '[portal]\nhost = "127.0.0.1"\nport = 8080\n')
    effective = load(main, {"METEOR_APPLIANCE_PORTAL_PORT": "9090"}, {})
    assert (effective.portal.host, effective.portal.port) == ("127.0.0.1", 9090)


def test_without_any_file_the_defaults_apply() -> None:
    assert load(None, {}, {}) == Settings()


def test_the_file_of_the_default_place_is_read_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    write(tmp_path / "etc", "[portal]\nport = 81\n")
    assert load(None, {}, {}).portal.port == 81


def test_a_variable_names_the_file_and_a_flag_overrides_the_variable(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("[portal]\nport = 1\n")
    other.write_text("[portal]\nport = 2\n")
    environment = {"METEOR_APPLIANCE_CONFIG": str(one)}
    assert load(None, environment, {}).portal.port == 1
    assert load(other, environment, {}).portal.port == 2


def test_text_from_environment_and_flags_becomes_numbers_and_truth_values() -> None:
    environment = {"METEOR_APPLIANCE_CLOUD_ALLOW_PLAIN_HTTP": "true"}
    effective = load(None, environment, {"sources.settle_seconds": "0.5", "cloud.url": "http://10.0.0.1"})
    assert effective.cloud.allow_plain_http is True
    assert effective.sources.settle_seconds == 0.5


def test_backup_addresses_come_as_a_list_or_as_text_with_commas(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[cloud]\nbackup_urls = ["https://b.example", "https://c.example"]\n')
    two = ("https://b.example", "https://c.example")
    assert load(file, {}, {}).cloud.backup_urls == two
    environment = {"METEOR_APPLIANCE_CLOUD_BACKUP_URLS": "https://b.example, https://c.example"}
    effective = load(None, environment, {})
    assert effective.cloud.backup_urls == two
    assert 'backup_urls = ["https://b.example","https://c.example"]' in describe(effective)


BAD: list[tuple[str, dict[str, str], dict[str, Any], tuple[str, ...]]] = [
    ("[portal]\nprot = 1", {}, {}, ("config.toml", "portal.prot", "Did you mean port?")),
    ("[portal]\nzzz = 1", {}, {}, ("config.toml", "portal.zzz", "Known here: host, port.")),
    ("[portl]\nport = 1", {}, {}, ("config.toml", "portl", "Did you mean portal?")),
    ("portal = 1", {}, {}, ("config.toml", "`portal`", "written as [portal]")),
    ("[portal]\nport = 70000", {}, {}, ("config.toml", "`portal.port`", "65535", "Correct it")),
    ("[portal]\nport = 'x'", {}, {}, ("config.toml", "`portal.port`", "Correct it")),
    ("[device]\nname = ''", {}, {}, ("config.toml", "`device.name`", "Correct it")),
    ("[device]\ndata_dir = ''", {}, {}, ("config.toml", "`device.data_dir`", "Correct it")),
    ("[log]\nlevel = 'LOUD'", {}, {}, ("config.toml", "`log.level`", "LOUD", "Correct it")),
    ("[portal\nport = 1", {}, {}, ("config.toml", "not valid TOML", "line 1", "Correct it")),
    ("[cloud]\nurl = 'ftp://x'", {}, {}, ("config.toml", "cloud.url", "https://")),
    ("[cloud]\nurl = 'cloud.example.org'", {}, {}, ("config.toml", "cloud.url", "https://")),
    ("[cloud]\nurl = 'https://'", {}, {}, ("config.toml", "cloud.url", "https://")),
    ("[cloud]\nurl = 'https://x:99999'", {}, {}, ("config.toml", "cloud.url", "https://")),
    ("[cloud]\nurl = 'https://me:pw@x'", {}, {}, ("config.toml", "cloud.url", "https://")),
    ("[cloud]\nurl = 'https://x/?a=b'", {}, {}, ("config.toml", "cloud.url", "https://")),
    ("[cloud]\nurl = 'http://x.org'", {}, {}, ("config.toml", "cloud.url", "plain http", "Use https://")),
    ("[network]\ncountry = 'de'", {}, {}, ("config.toml", "network.country", "like DE")),
    ("[network]\ncountry = 'XX'", {}, {}, ("config.toml", "network.country", "no country")),
    ("[cloud]\nbackup_urls = ['ftp://x']", {}, {}, ("config.toml", "cloud.backup_urls", "https://")),
    ("[cloud]\nbackup_urls = ['http://x']", {}, {}, ("config.toml", "cloud.backup_urls", "plain http")),
    ("[cloud]\nca_certificate = '/no'", {}, {}, ("config.toml", "cloud.ca_certificate", "/no", "leave it")),
    ("[network]\nscenario = '/no'", {}, {}, ("config.toml", "network.scenario", "/no", "leave it")),
    (
        "",
        {"METEOR_APPLIANCE_PORTAL_PORT": "x"},
        {},
        ("METEOR_APPLIANCE_PORTAL_PORT", "`portal.port`", "Correct it"),
    ),
    (
        "",
        {"METEOR_APPLIANCE_PORTAL_PROT": "1"},
        {},
        ("METEOR_APPLIANCE_PORTAL_PROT", "Did you mean METEOR_APPLIANCE_PORTAL_PORT?"),
    ),
    (
        "[cloud]\nurl = 'https://good.example'",
        {"METEOR_APPLIANCE_CLOUD_URL": "nonsense"},
        {},
        ("METEOR_APPLIANCE_CLOUD_URL", "cloud.url", "nonsense", "https://"),
    ),
    ("", {}, {"portal.port": "0"}, ("the command line", "`portal.port`", "Correct it")),
    ("", {}, {"portal.prt": "1"}, ("the command line", "portal.prt", "Did you mean port?")),
    ("", {}, {"portal.port.x": "1"}, ("the command line", "portal.port.x", "Did you mean port?")),
]


@pytest.mark.parametrize(("text", "environment", "flags", "named"), BAD)
def test_a_bad_setting_is_refused_with_place_field_and_remedy(
    tmp_path: Path,
    text: str,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    named: tuple[str, ...],
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        load(write(tmp_path, text), environment, flags)
    for word in named:
        assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_part_that_is_wrong_is_named_by_its_own_file(tmp_path: Path) -> None:
    main = write(tmp_path, "[portal]\nport = 80\n")
    (tmp_path / "config.d").mkdir()
    (tmp_path / "config.d" / "90-mine.toml").write_text("[cloud]\nurl = 'http://example.org'\n")
    with pytest.raises(SettingsRefused, match=r"90-mine\.toml: cloud\.url"):
        load(main, {}, {})


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"[device]\nname = '\xff'\n")
    with pytest.raises(SettingsRefused, match=r"config\.toml: is not UTF-8"):
        load(path, {}, {})


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(SettingsRefused, match=r"none\.toml.*--config"):
        load(missing, {}, {})
    with pytest.raises(SettingsRefused, match=r"none\.toml.*METEOR_APPLIANCE_CONFIG"):
        load(None, {"METEOR_APPLIANCE_CONFIG": str(missing)}, {})


@pytest.mark.parametrize(
    "url", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:80", "https://x.org"]
)
def test_plain_http_is_fine_on_this_machine_only(url: str) -> None:
    assert load(None, {}, {"cloud.url": url}).cloud.url == url


def test_the_description_is_toml_that_gives_the_same_settings(tmp_path: Path) -> None:
    effective = load(None, {}, {"device.name": 'Bärn "roof" \\ 1', "cloud.allow_plain_http": "true"})
    again = write(tmp_path, describe(effective))
    assert load(again, {}, {}) == effective
    assert set(tomllib.loads(describe(effective))) == set(msgspec.to_builtins(effective))


def test_a_secret_value_is_hidden_in_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECRET_FIELDS", frozenset({"device.name"}))
    text = describe(load(None, {}, {"device.name": "canary"}))
    assert "canary" not in text
    assert 'name = "(hidden)"' in text


def test_empty_paths_mean_places_inside_the_data_folder() -> None:
    effective = load(None, {}, {"device.data_dir": "/srv/meteor"})
    assert effective.spool == Path("/srv/meteor/spool")
    assert effective.ingest_socket == Path("/srv/meteor/run/ingest.sock")
    elsewhere = load(None, {}, {"sources.spool": "/spool", "sources.ingest_socket": "/run/i.sock"})
    assert (elsewhere.spool, elsewhere.ingest_socket) == (Path("/spool"), Path("/run/i.sock"))
