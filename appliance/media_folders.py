"""Where the station keeps media: the owner's `storage.base_path` or its own folder, and where they were.

A change takes effect at the next start. Every folder that was in use is written down before it is used, so
files that wait in an earlier one are still found; nothing is moved, they go as they are sent or grow old.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from appliance.files import write_atomically
from appliance.paths import Paths
from portal.sentences import N_
from portal.view import Sentence

log = logging.getLogger(__name__)

OWN = "meteor-media"
"""The folder inside of `base_path`, so that nothing else there is ever touched."""


NOT_ABSOLUTE = N_("%(path)s is not an absolute path")
NO_FOLDER = N_("there is no folder %(path)s")
NOT_WRITABLE = N_("the station may not write in %(path)s")


def problem(base_path: str) -> Sentence | None:
    """Why files cannot be kept there; None when they can, or nothing is asked for."""
    if not base_path:
        return None
    path = Path(base_path)
    if not path.is_absolute() or ".." in path.parts:
        return Sentence(NOT_ABSOLUTE, {"path": base_path})
    if not path.is_dir():
        return Sentence(NO_FOLDER, {"path": base_path})
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Sentence(NOT_WRITABLE, {"path": base_path})
    return None


def folders(paths: Paths) -> list[Path]:
    """Every folder that may hold media, the one in use first; for whoever only reads."""
    return [Path(name) for name in _remembered(paths)] or [paths.media]


def elsewhere(paths: Paths) -> list[Path]:
    """Those of them that are not below the data folder; each belongs to the station alone."""
    return [folder for folder in folders(paths) if folder.name == OWN and folder != paths.media]


def choose(paths: Paths, base_path: str) -> list[Path]:
    """The folder for new files, then the earlier ones; written down. Raises `OSError`."""
    reason = problem(base_path)
    if reason:
        log.warning("storage.base_path is not used: %s; media stay in %s", reason, paths.media)
    usable = base_path and reason is None
    wanted = Path(base_path) / OWN if usable else paths.media
    known = [str(wanted), *(name for name in [*_remembered(paths), str(paths.media)] if name != str(wanted))]
    known = list(dict.fromkeys(known))
    if known != (_remembered(paths) or [str(paths.media)]):
        write_atomically(paths.media_folders, msgspec.json.encode(known))
    return [Path(name) for name in known]


def _remembered(paths: Paths) -> list[str]:
    try:
        return msgspec.json.decode(paths.media_folders.read_bytes(), type=list[str])
    except (FileNotFoundError, PermissionError):
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.error("%s is damaged (%s): only the present folder of media is known", paths.media_folders, error)
        return []
