"""The station's own settings: defaults < config.toml < config.d/*.toml < environment < flags.

What the cloud may change at run time is another thing and lives in `appliance/configuration`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from portal.countries import CODES

CONFIG_FILE = Path("/etc/meteor-appliance/config.toml")
ENVIRONMENT_PREFIX = "METEOR_APPLIANCE_"
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]


class SettingsRefused(Exception):
    """A setting that cannot be used; the text names file or variable, the field and the remedy."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of one table of the file."""


class DeviceSection(Section, frozen=True):
    """`data_dir` holds everything that must survive; `name` is shown until the owner names the station.

    `boot_folders` are where a `meteor.txt` is looked for (`appliance/headless`).
    """

    data_dir: Annotated[str, Meta(min_length=1)] = "/var/lib/meteor"
    name: Annotated[str, Meta(min_length=1, max_length=80)] = "Meteor station"
    boot_folders: tuple[str, ...] = ("/boot/firmware", "/boot")


class CloudSection(Section, frozen=True):
    """`url` is the cloud's base address; plain http is refused unless it is this machine or allowed.

    `backup_urls` are other addresses of the same cloud, tried in order while the first one fails.
    `realtime` keeps a connection open on which the cloud says that something waits.
    `ca_pin` is SHA-256 in hex of the public key of that cloud's root, empty where none is known.
    `time_url` is where the signed time is asked; empty for `/time` at the name in `url`, without TLS.
    """

    url: str = "http://localhost:3000"
    backup_urls: tuple[str, ...] = ()
    ca_certificate: str | None = None
    ca_pin: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    allow_plain_http: bool = False
    time_url: str = ""
    realtime: Literal["auto", "off"] = "auto"
    time_keys: tuple[Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$")], ...] = ()


class IdentitySection(Section, frozen=True):
    """Where a new device key is made: `auto` is the file. A key that is there already stays where it is.

    `tpm` is the TPM as its library names it (TCTI).
    """

    key_store: Literal["auto", "file", "tpm"] = "auto"
    tpm: Annotated[str, Meta(min_length=1)] = "device:/dev/tpmrm0"


class PortalSection(Section, frozen=True):
    """Where the station's own pages listen."""

    host: str = "0.0.0.0"  # noqa: S104 - the pages are for every network the station is on
    port: Port = 80


class NetworkSection(Section, frozen=True):
    """`host` leaves the network to the operating system; `simulated` plays a scenario file.

    `auto` is `networkmanager` where it runs when the station starts, and `host` elsewhere. `country` is ISO
    3166-1 alpha-2, empty for what a person says on the setup page.
    """

    backend: Literal["auto", "networkmanager", "simulated", "host"] = "auto"
    check_url: str | None = None
    scenario: str | None = None
    country: str = ""
    retry_seconds: Seconds = 180
    configuring_timeout_seconds: Seconds = 600
    hotspot_open: bool = False
    allow_open_networks: bool = False


class BufferSection(Section, frozen=True):
    """Limits of the buffer: bytes of messages, number of messages, bytes of media and of one file.

    `order` says what goes first inside a class; the critical always go in order of arrival.
    """

    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 256 << 20
    max_messages: Annotated[int, Meta(ge=100)] = 500_000
    max_media_bytes: Annotated[int, Meta(ge=1 << 20)] = 8 << 30
    max_file_bytes: Annotated[int, Meta(ge=1 << 10)] = 512 << 20
    order: Literal["oldest", "newest"] = "oldest"


class SourcesSection(Section, frozen=True):
    """The doors for camera programs. Empty paths mean: inside `device.data_dir`."""

    spool: str = ""
    settle_seconds: Annotated[float, Meta(ge=0, le=3600)] = 60
    ingest_socket: str = ""


class CameraSection(Section, frozen=True):
    """What the owner is told of the camera, where the computer cannot find it out: one on the network, and
    what its program makes of it. `frame_rate` in frames per second, 0 where it is not known."""

    model: Annotated[str, Meta(max_length=200)] = ""
    resolution: Annotated[str, Meta(pattern=r"^([0-9]{1,5}x[0-9]{1,5})?\Z")] = ""
    frame_rate: Annotated[float, Meta(ge=0, le=100_000)] = 0


class LogSection(Section, frozen=True):
    """How the station logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class UpdateSection(Section, frozen=True):
    """Where new versions of this program come from, and where they lie.

    `folders` keeps versions side by side below `root` and has `unit` started anew by systemd; `none` leaves
    updates to others. `source` is a web address or a folder, `trust` the file with the root keys.
    """

    backend: Literal["none", "folders"] = "none"
    source: str = ""
    channel: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\Z")] = "stable"
    trust: str = "/usr/share/meteor-appliance/1.root.json"
    root: str = "/"
    unit: str = "meteor-appliance.service"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, validated."""

    device: DeviceSection = DeviceSection()
    cloud: CloudSection = CloudSection()
    identity: IdentitySection = IdentitySection()
    portal: PortalSection = PortalSection()
    network: NetworkSection = NetworkSection()
    buffer: BufferSection = BufferSection()
    sources: SourcesSection = SourcesSection()
    camera: CameraSection = CameraSection()
    log: LogSection = LogSection()
    update: UpdateSection = UpdateSection()

    @property
    def data_dir(self) -> Path:
        """Everything that must survive."""
        return Path(self.device.data_dir)

    @property
    def spool(self) -> Path:
        """The folder into which camera programs drop files."""
        return Path(self.sources.spool) if self.sources.spool else self.data_dir / "spool"

    @property
    def ingest_socket(self) -> Path:
        """The Unix socket for camera programs."""
        return (
            Path(self.sources.ingest_socket)
            if self.sources.ingest_socket
            else self.data_dir / "run/ingest.sock"
        )

    @property
    def control_socket(self) -> Path:
        """The Unix socket for the command line of the same user."""
        return self.data_dir / "run/control.sock"


_LISTS = frozenset({"cloud.backup_urls", "device.boot_folders"})
"""Where environment and flags give several values, with commas or spaces between."""

SECRET_FIELDS: frozenset[str] = frozenset()
"""Dotted names whose values are never shown. Secrets live in the identity folder, so there are none now."""


def load(
    file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
) -> Settings:
    """The effective settings.

    `file` is None for the default place, which may be absent; a file that was asked for must exist. `flags`
    maps dotted names (`cloud.url`) to values. Raises `SettingsRefused`.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, layer in _layers(file, environment, flags):
        _name_unknown(layer, source)
        _convert(layer, source)
        for section, values in layer.items():
            merged.setdefault(section, {}).update(values)
            origins |= {f"{section}.{field}": source for field in values}
    settings = _convert(merged, "the settings together")
    _check(settings, origins)
    return settings


def _layers(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each layer with the place that a person has to correct, the weakest first."""
    for path in _files(file, environment):
        yield str(path), _read(path)
    for variable, dotted in _variables(environment).items():
        yield variable, _nested({dotted: environment[variable]})
    yield "the command line", _nested(flags)


def config_path(file: Path | None, environment: Mapping[str, str]) -> Path:
    """The settings file in force, whether or not it is there."""
    return file or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else CONFIG_FILE)


def _files(file: Path | None, environment: Mapping[str, str]) -> list[Path]:
    main = config_path(file, environment)
    named = file is not None or bool(environment.get(CONFIG_VARIABLE))
    there = _is_there(main)
    if named and not there:
        asked = "--config" if file else CONFIG_VARIABLE
        raise SettingsRefused(f"{main}: there is no such file. Create it, or leave {asked} away.")
    return [*([main] if there else []), *_pieces(main.parent / "config.d")]


def _pieces(folder: Path) -> list[Path]:
    """The files of `config.d`. A closed folder is no empty one: its settings would be lost silently."""
    try:
        return sorted(each for each in folder.iterdir() if each.suffix == ".toml")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        raise SettingsRefused(_closed(folder)) from None


def _is_there(path: Path) -> bool:
    """Raises `SettingsRefused` where nobody lets us look."""
    try:
        return path.is_file()
    except PermissionError:
        raise SettingsRefused(_closed(path)) from None


def _closed(path: Path) -> str:
    return (
        f"{path}: cannot be read (permission denied). Check owner and mode of it and of the folders above, "
        "or run this as the user of the station."
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsRefused(
            f"{path}: cannot be read ({error.strerror}). Check its owner and mode."
        ) from None
    except UnicodeDecodeError:
        raise SettingsRefused(f"{path}: is not UTF-8. Save it as UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsRefused(f"{path}: is not valid TOML: {error}. Correct it there.") from None


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Our variables and the settings that they name."""
    known = {
        f"{ENVIRONMENT_PREFIX}{section}_{field}".upper(): f"{section}.{field}"
        for section, fields in _known().items()
        for field in fields
    }
    found = {}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in known:
            raise SettingsRefused(f"{variable} is not a setting. {_instead(variable, known)}")
        found[variable] = known[variable]
    return found


def _known() -> dict[str, tuple[str, ...]]:
    return {
        field.name: tuple(inner.name for inner in msgspec.structs.fields(field.type))
        for field in msgspec.structs.fields(Settings)
    }


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for dotted, value in values.items():
        section, _, field = dotted.partition(".")
        listed = dotted in _LISTS and isinstance(value, str)
        tables.setdefault(section, {})[field] = value.replace(",", " ").split() if listed else value
    return tables


def _name_unknown(layer: dict[str, Any], source: str) -> None:
    known = _known()
    for section, values in layer.items():
        if section not in known:
            raise SettingsRefused(f"{source}: there is no section {section}. {_instead(section, known)}")
        if not isinstance(values, dict):
            raise SettingsRefused(f"{source}: `{section}` must be a table, written as [{section}].")
        for field in values:
            if field not in known[section]:
                remedy = _instead(field, known[section])
                raise SettingsRefused(f"{source}: {section}.{field} is not a setting. {remedy}")


def _instead(name: str, known: Iterable[str]) -> str:
    import difflib  # here because most starts have no mistake to explain

    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."


def _convert(values: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        text = str(error).replace("`$.", "`")
        raise SettingsRefused(f"{source}: {text}. Correct it, or take it away for the default.") from None


def _check(settings: Settings, origins: Mapping[str, str]) -> None:
    """What one value alone does not show. `origins` says where each value was set."""

    def refuse(field: str, reason: str) -> NoReturn:
        raise SettingsRefused(f"{origins.get(field, 'the defaults')}: {field}: {reason}")

    addresses = [("cloud.url", settings.cloud.url)]
    addresses += [("cloud.backup_urls", backup) for backup in settings.cloud.backup_urls]
    for field, address in addresses:
        if fault := address_problem(address, allow_plain_http=settings.cloud.allow_plain_http):
            refuse(field, fault)
    plain = [field for field, address in addresses if address.startswith("http:")]
    if settings.network.allow_open_networks and plain:
        refuse("network.allow_open_networks", f"{plain[0]} must be https:// for that. Change one of them.")
    if (check := settings.network.check_url) is not None and (fault := check_url_problem(check)):
        refuse("network.check_url", fault)
    if (country := settings.network.country) and country not in CODES:
        refuse("network.country", f"{country!r} is no country. Write its two capital letters, like DE.")
    if (origin := settings.update.source).startswith(("http:", "https:")) and (
        fault := address_problem(origin, allow_plain_http=settings.cloud.allow_plain_http)
    ):
        refuse("update.source", fault)
    named = {
        "cloud.ca_certificate": settings.cloud.ca_certificate,
        "network.scenario": settings.network.scenario,
    }
    for field, file in named.items():
        if file and not _is_there(Path(file)):
            refuse(field, f"there is no file {file}. Name one that is there, or leave it away.")


def address_problem(address: str, *, allow_plain_http: bool) -> str | None:
    """Why a cloud's address cannot be used, or None. Plain http is for this machine alone unless allowed."""
    try:
        url = urlsplit(address)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or url.query or url.fragment or url.username:
        return f"{address!r} is no address. Write it like https://cloud.example.org."
    local = url.hostname in ("localhost", "127.0.0.1", "::1")
    if url.scheme == "http" and not local and not allow_plain_http:
        return "plain http shows everything to the network. Use https://."
    return None


def check_url_problem(address: str) -> str | None:
    """Why an address cannot show a login page, or None. Such pages do not answer over TLS."""
    try:
        url = urlsplit(address)
        usable = url.scheme == "http" and bool(url.hostname) and url.port != 0 and not url.username
    except ValueError:
        usable = False
    return (
        None if usable else f"{address!r} is no plain address. Write it like http://cloud.example.org/health."
    )


def describe(settings: Settings) -> str:
    """The effective values as TOML, secrets hidden, for `meteor-appliance settings`."""
    lines = []
    for section, values in msgspec.to_builtins(settings).items():
        lines.append(f"[{section}]")
        for field, value in values.items():
            shown = "(hidden)" if value and f"{section}.{field}" in SECRET_FIELDS else value
            lines.append(f"# {field} is not set" if shown is None else f"{field} = {_toml(shown)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, str | list | tuple) else str(value)


def from_process(file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """`load` with this process's environment."""
    return load(file, os.environ, flags)
