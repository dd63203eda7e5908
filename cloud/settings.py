"""The cloud's settings: defaults < TOML file < environment (METEOR_CLOUD_*) < flags. Opens no secret."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from cloud.errors import SettingsError
from cloud.security.networks import networks
from protocol.limits import HEARTBEAT_INTERVAL_S, MAX_CHUNK_BYTES, OFFLINE_AFTER_S

ENVIRONMENT = "METEOR_CLOUD_"
FILE_VARIABLE = "METEOR_CLOUD_CONFIG"
"""Names the TOML file; it is not a setting itself."""

_LISTS = frozenset({"deny_networks", "allow_networks"})
"""Where the environment gives several values, with commas or spaces between."""

Seconds = Annotated[int, Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting of the cloud. Durations are in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    data_dir: Path = Path("run-data/cloud")
    database_url: str = ""
    public_url: Annotated[str, Meta(pattern=r"^(https?://[^/\s?#]+)?$")] = ""
    development: bool = False
    trust_forwarded: bool = False
    deny_networks: tuple[str, ...] = ()
    allow_networks: tuple[str, ...] = ()
    log_format: Literal["plain", "json"] = "plain"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    secrets_dir: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    client_certificates: bool = True
    auth_require: Literal["signature", "mtls+signature"] = "signature"
    plain_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    heartbeat_interval: Annotated[int, Meta(ge=5, le=3600)] = HEARTBEAT_INTERVAL_S
    offline_after: Seconds = OFFLINE_AFTER_S
    poll_interval: Annotated[int, Meta(ge=1, le=60)] = 5
    sweep_interval: Seconds = 30
    certificate_days: Annotated[int, Meta(ge=1, le=825)] = 90
    crl_file: Path | None = None
    upload_life: Seconds = 7 * 86400
    min_free_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024**2
    max_chunk: Annotated[int, Meta(ge=1024, le=MAX_CHUNK_BYTES)] = MAX_CHUNK_BYTES
    shutdown_timeout: Seconds = 10
    smtp_host: str = ""
    smtp_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password_file: Path | None = None
    mail_from: Annotated[str, Meta(pattern=r"^([^@\s<>]+@[^@\s<>]+)?$")] = ""
    security_contact: Annotated[str, Meta(pattern=r"^((mailto:|https://)[!-~]+)?$")] = ""

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'cloud.db'}"

    @property
    def base(self) -> str:
        """The address that people and stations are told, without a slash at the end."""
        scheme = "https" if self.tls_certificate else "http"
        return self.public_url or f"{scheme}://{_spelled(self.host)}:{self.port}"

    @property
    def secrets(self) -> Path:
        """The folder of the keys and the pepper."""
        return self.secrets_dir or self.data_dir / "secrets"

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        return self.mail_from or f"no-reply@{urlsplit(self.base).hostname or 'localhost'}"

    @property
    def crl(self) -> Path:
        """Where brokers read which certificates were revoked."""
        return self.crl_file or self.data_dir / "crl.pem"

    @property
    def media(self) -> Path:
        """The folder of the stations' files."""
        return self.data_dir / "media"


def load(
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """The effective settings. Raises `SettingsError` that names every unknown key or the one wrong value."""
    values: dict[str, Any] = {}
    if file is None and environment.get(FILE_VARIABLE):
        file = Path(environment[FILE_VARIABLE])
    if file is not None:
        values |= _known(_toml(file), str(file))
    from_environment: dict[str, Any] = {
        name.removeprefix(ENVIRONMENT).lower(): text
        for name, text in environment.items()
        if name.startswith(ENVIRONMENT) and name != FILE_VARIABLE
    }
    for name in _LISTS & set(from_environment):
        from_environment[name] = from_environment[name].replace(",", " ").split()
    values |= _known(from_environment, "the environment")
    values |= _known({name: value for name, value in (flags or {}).items() if value is not None}, "the flags")
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting is not valid: {error}.") from None
    _require_networks(settings)
    if settings.public_url:
        return settings
    return msgspec.structs.replace(settings, public_url=settings.base)


def _require_networks(settings: Settings) -> None:
    for name in sorted(_LISTS):
        try:
            networks(getattr(settings, name))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}.") from None


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}.") from None


def _known(values: Mapping[str, Any], place: str) -> dict[str, Any]:
    unknown = sorted(set(values) - set(Settings.__struct_fields__))
    if unknown:
        raise SettingsError(f"Unknown settings in {place}: {', '.join(unknown)}.")
    return dict(values)


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise ValueError("a path is a text that is not empty")


def _spelled(host: str) -> str:
    """A listening address as people can open it."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - read, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host
