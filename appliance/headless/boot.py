"""Takes `meteor.txt` and `claim.txt` from the boot partition: once for each content, durably, then cleaned.

The order makes a power cut harmless: first the hotspot's key and the station's own copy reach the disk, with
the hashes of the file before and after; only then are the secrets taken out of the file. Whatever is cut off
is done again at the next start, and nothing is taken twice. No fault of the file stops a start.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from appliance.files import write_atomically
from appliance.headless.text import Text, read_text
from appliance.headless.wishes import SECRETS, TAKEN_ONCE, Wishes, read_wishes
from appliance.identity.hotspot import HotspotKey
from appliance.network.port import Credentials, Security
from portal.sentences import N_
from portal.view import Notice, Sentence
from protocol.codes import ClaimCode, parse_claim_code

log = logging.getLogger(__name__)

NAMES = ("meteor.txt", "meteor.txt.txt")
"""In any case of letters; the second is what Windows makes of the first when it hides the ends of names."""
CLAIM_NAMES = ("claim.txt", "claim.txt.txt")
"""A file with nothing but the claim code, as an account offers it."""
RESULT = "meteor-result.txt"
MOST_BYTES = 64 << 10

UNREADABLE = N_("%(file)s on the boot partition cannot be read.")
UNREADABLE_ACTION = N_("Save it as plain text, smaller than 64 kB.")
SECRETS_LEFT = N_(
    "Passwords still stand in %(file)s on the boot partition, because the station cannot write there."
)
SECRETS_LEFT_ACTION = N_("Put the card into a computer and remove them from the file.")


class _Taken(msgspec.Struct, omit_defaults=True):
    """What was taken. Network and claim code stay until they have served."""

    seen: list[str] = []
    """Hashes of the file as it was taken, and without its secrets."""
    claim_seen: list[str] = []
    """The same for the file of the claim code."""
    hotspot_open: bool = False
    country: str = ""
    language: str = ""
    wifi_name: str | None = None
    wifi_password: str | None = None
    hidden: bool = False
    claim_code: str | None = None


class BootFile:
    """The file and what came of it. Methods that write block for the time of a few flushes."""

    def __init__(self, folders: Sequence[str], copy: Path, key: HotspotKey, now: Callable[[], float]) -> None:
        """`copy` is the station's own, private file; `now` gives UTC seconds, for people only."""
        self._folders = [Path(folder) for folder in folders]
        self._copy = copy
        self._key = key
        self._now = now
        self._taken = _Taken()
        self._told: list[str] = []
        self.notices: tuple[Notice, ...] = ()

    @property
    def hotspot_open(self) -> bool:
        """Whether the person chose an open hotspot."""
        return self._taken.hotspot_open

    @property
    def country(self) -> str:
        """ISO 3166-1 alpha-2, or empty."""
        return self._taken.country

    @property
    def language(self) -> str:
        """The tag of a language of ours, or empty."""
        return self._taken.language

    @property
    def wifi(self) -> Credentials | None:
        """The network of the file, until it was joined."""
        taken = self._taken
        if taken.wifi_name is None:
            return None
        security = Security.OPEN if taken.wifi_password is None else Security.WPA2
        return Credentials(taken.wifi_name.encode(), taken.wifi_password, security, taken.hidden)

    @property
    def claim_code(self) -> ClaimCode | None:
        """The claim code of the file, until it is in the station's record."""
        text = self._taken.claim_code
        return None if text is None else parse_claim_code(text)

    def take(self) -> None:
        """Looks for the file and takes what is new in it. Raises nothing about the boot partition, and
        `OSError` when the station's own disk fails."""
        self._taken, self.notices, self._told = _load(self._copy), (), []
        for names in (NAMES, CLAIM_NAMES):
            path = self._find(names)
            if path is None:
                continue
            try:
                data = _read(path)
            except (OSError, ValueError) as error:
                log.warning("BOOT-002: %s cannot be read: %s", path, error)
                sentence = Sentence(UNREADABLE, {"file": path.name})
                self.notices += (Notice("BOOT-002", sentence, Sentence(UNREADABLE_ACTION)),)
                continue
            self._take(path, data)

    def _take(self, path: Path, data: bytes) -> None:
        text = read_text(data)
        of_claim = path.name.lower() in CLAIM_NAMES
        wishes = read_wishes(text, path.name, "claim_code" if of_claim else "")
        for fault in wishes.faults:
            log.warning("%s: %s %s", fault.code, fault.sentence, fault.action)
        self.notices += wishes.faults
        after = _without_secrets(text, wishes, self._today())
        seen = self._taken.claim_seen if of_claim else self._taken.seen
        new = _hash(data) not in seen
        if new and of_claim:
            code = wishes.claim_code or self._taken.claim_code
            self._save_with(claim_seen=[_hash(data), _hash(after)], claim_code=code)
        elif new:
            self._keep(wishes, [_hash(data), _hash(after)])
        elif _hash(after) not in seen:  # a power cut, and the day is another one
            self._save_with(**{"claim_seen" if of_claim else "seen": [*seen, _hash(after)]})
        if new:
            log.info("taken from %s: %s", path, ", ".join(sorted(wishes.lines)) or "nothing")
        self._clean(path, data, after, wishes)
        if new:
            self._report(path, wishes)

    def _keep(self, wishes: Wishes, seen: list[str]) -> None:
        if wishes.hotspot_key is not None:
            self._key.choose(wishes.hotspot_key)
        before = self._taken
        kept = _Taken(seen, before.claim_seen, wishes.hotspot_open, wishes.country, wishes.language)
        if wishes.wifi is not None:
            kept.wifi_name, kept.wifi_password = wishes.wifi.name, wishes.wifi.password
            kept.hidden = wishes.wifi.hidden
        else:
            kept.wifi_name, kept.wifi_password = before.wifi_name, before.wifi_password
            kept.hidden = before.hidden
        kept.claim_code = wishes.claim_code or before.claim_code
        self._save(kept)

    def joined(self) -> None:
        """The network is stored where networks are; the copy forgets it. Raises `OSError`."""
        if self._taken.wifi_name is not None:
            self._save(_without_network(self._taken))

    def recorded(self) -> None:
        """The claim code is in the record; the copy forgets it. Raises `OSError`."""
        if self._taken.claim_code is not None:
            self._save_with(claim_code=None)

    # --- the station's copy ---------------------------------------------------------------------------------

    def _save_with(self, **changes: Any) -> None:
        self._save(msgspec.structs.replace(self._taken, **changes))

    def _save(self, taken: _Taken) -> None:
        write_atomically(self._copy, msgspec.json.encode(taken))
        self._taken = taken

    # --- the boot partition ---------------------------------------------------------------------------------

    def _find(self, names: Sequence[str]) -> Path | None:
        for folder in self._folders:
            try:
                found = [each for each in folder.iterdir() if each.name.lower() in names]
            except OSError as error:
                log.debug("no boot partition at %s: %s", folder, error.strerror)
                continue
            if found:
                return min(found, key=lambda each: len(each.name))
        return None

    def _clean(self, path: Path, data: bytes, after: bytes, wishes: Wishes) -> None:
        if after == data:
            return
        try:
            _replace(path, after)
        except OSError as error:
            log.warning("BOOT-003: %s cannot be written: %s", path, error.strerror)
            if wishes.secrets:
                sentence = Sentence(SECRETS_LEFT, {"file": path.name})
                self.notices += (Notice("BOOT-003", sentence, Sentence(SECRETS_LEFT_ACTION)),)

    def _report(self, path: Path, wishes: Wishes) -> None:
        taken = [f"{key}: taken from line {line + 1}" for key, line in wishes.lines.items()]
        faults = [f"{fault.code}: {fault.sentence} {fault.action}" for fault in wishes.faults]
        self._told += [f"The station read {path.name} on {self._today()} (UTC).", *taken, *faults]
        try:
            _replace(path.parent / RESULT, "".join(f"{line}\r\n" for line in self._told).encode())
        except OSError as error:
            log.info("no %s: %s", RESULT, error.strerror)

    def _today(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%d")


def forget_network(copy: Path) -> None:
    """Removes the network from the copy of a station that does not run; the file stays taken. Raises
    `OSError`."""
    if (taken := _load(copy)).wifi_name is not None:
        write_atomically(copy, msgspec.json.encode(_without_network(taken)))


def _load(copy: Path) -> _Taken:
    try:
        return msgspec.json.decode(copy.read_bytes(), type=_Taken)
    except FileNotFoundError:
        return _Taken()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s is damaged and is made anew: %s", copy, error)
        return _Taken()


def _without_network(taken: _Taken) -> _Taken:
    return msgspec.structs.replace(taken, wifi_name=None, wifi_password=None, hidden=False)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return data


def _without_secrets(text: Text, wishes: Wishes, today: str) -> bytes:
    lines = list(text.lines)
    for key, number in wishes.lines.items():
        if key in TAKEN_ONCE:
            end = lines[number][len(lines[number].rstrip("\r\n")) :]
            said = "" if key in SECRETS else f" ({lines[number].strip()})"
            lines[number] = f"# {key}: taken on {today}{said}{end}"
    return text.with_lines(lines)


def _replace(path: Path, data: bytes) -> None:
    write_atomically(path, data, mode=None)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
