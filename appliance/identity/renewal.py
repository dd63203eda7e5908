"""The next key and certificate on disk, from the first wish until they are the station's own. Sends nothing.

Two files beside those in use, and the order of every write, make each cut harmless:

 1. `device.key.new` is durable before the cloud hears of it, so that a question asked again is the same;
 2. `credentials.json.new` is durable before the new key is used;
 3. only after the cloud answered to the new key the new key takes its place, then the credentials.

After a cut there is either the old pair, or the new key beside credentials that still wait for their
rename: `finish_exchange` does that before anybody reads them.
"""

from __future__ import annotations

import logging
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.files import private_folder, remove_durably, write_atomically
from appliance.identity.keys import KeyDamaged, private_pem, read_private
from buffer.folders import sync_folder

log = logging.getLogger(__name__)

KEY, NEW_KEY = "device.key", "device.key.new"
CREDENTIALS, NEW_CREDENTIALS = "credentials.json", "credentials.json.new"


def finish_exchange(folder: Path) -> None:
    """Ends an exchange that was cut between its two renames. Blocks for one fsync. Raises `OSError`."""
    if (folder / NEW_CREDENTIALS).exists() and not (folder / NEW_KEY).exists():
        (folder / NEW_CREDENTIALS).replace(folder / CREDENTIALS)
        sync_folder(folder)
        log.info("the exchange of the key, which was cut, is finished")


class NextPair:
    """The pair that is being fetched. All methods block for their fsyncs and may raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)

    @property
    def begun(self) -> bool:
        """Whether a renewal is under way, perhaps since before a power cut."""
        return (self._folder / NEW_KEY).exists() or self.fetched

    @property
    def fetched(self) -> bool:
        """Whether the new credentials are here and wait for their first use."""
        return (self._folder / NEW_CREDENTIALS).exists()

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The next key, made and durable at the first call. A damaged one, which proves nothing yet, is made
        anew."""
        path = self._folder / NEW_KEY
        try:
            return read_private(self._folder / KEY if self._half_installed else path)
        except FileNotFoundError:
            pass
        except KeyDamaged as error:
            log.warning("the next key is made anew: %s", error)
            self.drop()
        private = ec.generate_private_key(ec.SECP256R1())
        write_atomically(path, private_pem(private))
        return private

    @property
    def _half_installed(self) -> bool:
        """The disk refused the second step of an installation, and the program went on."""
        return self.fetched and not (self._folder / NEW_KEY).exists()

    def keep(self, credentials: bytes) -> None:
        """The encoded credentials of the next key."""
        write_atomically(self._folder / NEW_CREDENTIALS, credentials)

    def install(self) -> None:
        """The next pair becomes the one in use. The key goes first: see `finish_exchange`."""
        if not self._half_installed:
            (self._folder / NEW_KEY).replace(self._folder / KEY)
            sync_folder(self._folder)
        (self._folder / NEW_CREDENTIALS).replace(self._folder / CREDENTIALS)
        sync_folder(self._folder)

    def drop(self) -> None:
        """Forgets the next pair. The credentials go first, or they would look like a cut exchange."""
        remove_durably(self._folder / NEW_CREDENTIALS)
        remove_durably(self._folder / NEW_KEY)
