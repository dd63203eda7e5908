"""Settings: which layer wins, what is refused, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud.errors import SettingsError
from cloud.settings import load


def file(folder: Path, text: str) -> Path:
    path = folder / "cloud.toml"
    path.write_text(text)
    return path


def test_each_layer_wins_over_the_one_before(tmp_path: Path) -> None:
    toml = file(tmp_path, "port = 1\npoll_interval = 11\nhost = '192.0.2.1'\nlog_format = 'json'")
    environment = {"METEOR_CLOUD_PORT": "2", "METEOR_CLOUD_POLL_INTERVAL": "12", "PATH": "ignored"}
    settings = load(toml, environment, {"port": 3, "host": None})
    assert (settings.port, settings.poll_interval, settings.host, settings.log_format) == (
        3,
        12,
        "192.0.2.1",
        "json",
    )
    assert settings.heartbeat_interval == 60


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    toml = file(tmp_path, "port = 77")
    assert load(None, {"METEOR_CLOUD_CONFIG": str(toml)}).port == 77


def test_the_public_address_is_that_of_the_listener_unless_given() -> None:
    assert load(None, {}, {"port": 80, "host": "0.0.0.0"}).public_url == "http://localhost:80"
    assert load(None, {}, {"host": "::1"}).public_url == "http://[::1]:8080"
    assert load(None, {"METEOR_CLOUD_PUBLIC_URL": "https://m.example"}).base == "https://m.example"


def test_the_database_is_a_file_in_the_data_folder_unless_given(tmp_path: Path) -> None:
    assert load(None, {}, {"data_dir": tmp_path}).database == f"sqlite:///{tmp_path}/cloud.db"
    url = "postgresql+psycopg://u@/d"
    assert load(None, {"METEOR_CLOUD_DATABASE_URL": url}).database == url


@pytest.mark.parametrize("value", ["true", "1", "false", "0"])
def test_switches_are_read_from_text(value: str) -> None:
    assert load(None, {"METEOR_CLOUD_DEVELOPMENT": value}).development is (value in ("true", "1"))


def test_every_unknown_key_is_named_with_its_place(tmp_path: Path) -> None:
    toml = file(tmp_path, "prot = 1\nhots = 'x'")
    with pytest.raises(SettingsError, match=r"cloud\.toml: hots, prot"):
        load(toml, {})
    with pytest.raises(SettingsError, match="environment: prot"):
        load(None, {"METEOR_CLOUD_PROT": "1"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"port": 70000}, "port"),
        ({"port": "many"}, "port"),
        ({"heartbeat_interval": 1}, "heartbeat_interval"),
        ({"log_format": "xml"}, "log_format"),
        ({"public_url": "ftp://x"}, "public_url"),
        ({"public_url": "https://x/path"}, "public_url"),
        ({"data_dir": ""}, "data_dir"),
        ({"max_chunk": 2**30}, "max_chunk"),
    ],
)
def test_a_value_that_cannot_be_is_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load(None, {}, values)


@pytest.mark.parametrize("text", ["port = ", "\0", "[[["])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"cloud\.toml"):
        load(file(tmp_path, text), {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load(tmp_path / "none.toml", {})
