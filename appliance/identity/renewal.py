"""The next key and certificate on disk, from the first wish until they are the station's own. Sends nothing.

Two files beside those in use, and the order of every write, make each cut harmless:

 1. `device.key.new` (`device.tpm.new` where a TPM holds the keys) is durable before the cloud hears of it,
    so that a question asked again is the same;
 2. `credentials.json.new` is durable before the new key is used;
 3. only after the cloud answered to the new key the new key takes its place, then the credentials.

After a cut there is either the old pair, or the new key beside credentials that still wait for their
rename: `finish_exchange` does that before anybody reads them.
"""

from __future__ import annotations

import logging
from pathlib import Path

from appliance.files import private_folder, remove_durably, write_atomically
from appliance.identity.keys import KeyDamaged, KeyStore, KeyUnavailable, PrivateKey
from buffer.folders import sync_folder

log = logging.getLogger(__name__)

NEW = ".new"
NEXT_KEYS = ("device.key.new", "device.tpm.new")
"""Where the next key may lie: one file for each kind of store."""
CREDENTIALS, NEW_CREDENTIALS = "credentials.json", "credentials.json.new"


def finish_exchange(folder: Path) -> None:
    """Ends an exchange that was cut between its two renames. Blocks for one fsync. Raises `OSError`."""
    if (folder / NEW_CREDENTIALS).exists() and not any((folder / name).exists() for name in NEXT_KEYS):
        (folder / NEW_CREDENTIALS).replace(folder / CREDENTIALS)
        sync_folder(folder)
        log.info("the exchange of the key, which was cut, is finished")


class NextPair:
    """The pair that is being fetched. All methods block for their fsyncs and may raise `OSError`."""

    def __init__(self, folder: Path, store: KeyStore) -> None:
        self._folder = private_folder(folder)
        self._store = store
        self._in_use, self._next = self._folder / store.file, self._folder / (store.file + NEW)

    @property
    def begun(self) -> bool:
        """Whether a renewal is under way, perhaps since before a power cut."""
        return self._next.exists() or self.fetched

    @property
    def fetched(self) -> bool:
        """Whether the new credentials are here and wait for their first use."""
        return (self._folder / NEW_CREDENTIALS).exists()

    def key(self) -> PrivateKey:
        """The next key, made and durable at the first call. A damaged one, which proves nothing yet, is made
        anew. Raises `KeyUnavailable`."""
        try:
            return self._store.read(self._in_use if self._half_installed else self._next)
        except FileNotFoundError:
            pass
        except KeyUnavailable:
            raise
        except KeyDamaged as error:
            log.warning("the next key is made anew: %s", error)
            self.drop()
        write_atomically(self._next, self._store.make())
        return self._store.read(self._next)

    @property
    def _half_installed(self) -> bool:
        """The disk refused the second step of an installation, and the program went on."""
        return self.fetched and not self._next.exists()

    def keep(self, credentials: bytes) -> None:
        """The encoded credentials of the next key."""
        write_atomically(self._folder / NEW_CREDENTIALS, credentials)

    def install(self) -> None:
        """The next pair becomes the one in use. The key goes first: see `finish_exchange`."""
        if not self._half_installed:
            self._next.replace(self._in_use)
            sync_folder(self._folder)
        (self._folder / NEW_CREDENTIALS).replace(self._folder / CREDENTIALS)
        sync_folder(self._folder)

    def drop(self) -> None:
        """Forgets the next pair. The credentials go first, or they would look like a cut exchange."""
        remove_durably(self._folder / NEW_CREDENTIALS)
        remove_durably(self._next)
