"""Where everything lies below the data folder. One list, so that reset, backup and docs agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """All places below one data folder."""

    data: Path

    @property
    def identity(self) -> Path:
        """Key, card and credentials; mode 0700."""
        return self.data / "identity"

    @property
    def device_key(self) -> Path:
        """The private key, where it lies in a file."""
        return self.identity / "device.key"

    @property
    def sealed_key(self) -> Path:
        """The private key, where only the TPM can read it."""
        return self.identity / "device.tpm"

    @property
    def credentials(self) -> Path:
        """What the cloud gave at the claim."""
        return self.identity / "credentials.json"

    @property
    def next_pair(self) -> tuple[Path, ...]:
        """Credentials and key of a renewal that is under way, the key in either kind of store."""
        names = ("credentials.json.new", "device.key.new", "device.tpm.new")
        return tuple(self.identity / name for name in names)

    @property
    def card(self) -> Path:
        """PIN and link secret."""
        return self.identity / "card.json"

    @property
    def hotspot_key(self) -> Path:
        """The hotspot's password."""
        return self.identity / "hotspot.key"

    @property
    def technician(self) -> Path:
        """The technician's PIN and the count of wrong tries."""
        return self.identity / "technician.json"

    @property
    def state(self) -> Path:
        """Record, stored networks, configuration, counters."""
        return self.data / "state"

    @property
    def record(self) -> Path:
        """The state machine's record."""
        return self.state / "record.json"

    @property
    def config(self) -> Path:
        """The configuration from the cloud."""
        return self.state / "config.json"

    @property
    def media_folders(self) -> Path:
        """Every folder in which media were kept, the present one first."""
        return self.state / "media-folders.json"

    @property
    def networks(self) -> Path:
        """Wi-Fi networks with their passwords, where this program stores them itself."""
        return self.state / "networks.json"

    @property
    def country(self) -> Path:
        """The country that the station is in, and who said it."""
        return self.state / "country.json"

    @property
    def authorities(self) -> Path:
        """Certificates of Wi-Fi networks with accounts."""
        return self.state / "authorities"

    @property
    def reset_marker(self) -> Path:
        """A factory reset that is wished or under way."""
        return self.state / "reset.json"

    @property
    def boot_copy(self) -> Path:
        """What was taken from the file on the boot partition."""
        return self.state / "boot.json"

    @property
    def clock_floor(self) -> Path:
        """The latest time that was known to be right."""
        return self.state / "clock"

    @property
    def updates(self) -> Path:
        """How far an update came, the past ones, and files on their way."""
        return self.data / "update"

    @property
    def buffer(self) -> Path:
        """Messages and media."""
        return self.data / "buffer"

    @property
    def buffer_file(self) -> Path:
        """The messages."""
        return self.buffer / "buffer.db"

    @property
    def media(self) -> Path:
        """Media files by their hash."""
        return self.buffer / "media"

    @property
    def run(self) -> Path:
        """Sockets and what else is of no use after a restart of the machine."""
        return self.data / "run"
