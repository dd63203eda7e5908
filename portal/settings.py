"""What can be chosen about the portal; defaults fit a station in the field."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """`names` are host names that are this station's own besides its addresses; times in seconds.

    For browsers that ask for no language of ours `language` decides, the tag that a person chose; without it
    the station's country, then `locale`, which is the system's, as in `LANG`.
    """

    names: tuple[str, ...] = ()
    locale: str = ""
    language: str = ""
    pseudo_locales: bool = False
    token_lifetime: float = 3600.0
    technician_lifetime: float = 900.0
    attempts_burst: int = 10
    attempts_interval: float = 15.0
    max_body: int = 16 * 1024  # bytes
    max_streams: int = 32
    stream_pulse: float = 15.0
