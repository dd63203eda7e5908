"""The maker's side of updates: keys, root documents, and a folder with a signed release.

    python -m scripts.release keys KEYS            three root keys, one release key, and root number 1
    python -m scripts.release publish FOLDER RUNTIME --version 1.4.2 --serial 7 --key KEYS/release-1.pem
    python -m scripts.release rotate KEYS FOLDER   a new release key, by a root that the old root keys sign

Root keys belong on a medium that lies in a drawer; only the release key is needed to publish.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from firmware.durable import write_durably
from firmware.update.manifest import MANIFEST_NAME, MANIFEST_TYPE, parse_manifest
from firmware.update.trust import ROOT_TYPE, anchor, next_root, root_name
from protocol.clock import to_text
from protocol.envelope import seal_by_all

Keys = Mapping[str, Ed25519PrivateKey]

ROOT_YEARS = 10
RELEASE_DAYS = 365
READABLE = 0o644


def public(key: Ed25519PrivateKey) -> str:
    """The public half in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signed(value: Mapping[str, Any], keys: Keys, payload_type: str) -> bytes:
    """The envelope's bytes, signed by all of the keys."""
    payload = msgspec.json.encode(value, order="sorted")
    return msgspec.json.encode(seal_by_all(payload, keys, payload_type)) + b"\n"


def root_document(
    version: int, roots: Keys, releases: Keys, *, expires: datetime, threshold: int = 2
) -> dict[str, Any]:
    """The content of a root: who may sign the next root, and who may sign releases."""
    return {
        "version": version,
        "expires_at": to_text(expires),
        "keys": {keyid: public(key) for keyid, key in {**roots, **releases}.items()},
        "root": {"keyids": sorted(roots), "threshold": threshold},
        "release": {"keyids": sorted(releases), "threshold": 1},
    }


def artifact(path: Path) -> dict[str, Any]:
    """What the manifest says of a file; `unpacked` is read from the archive."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with tarfile.open(path) as archive:
        unpacked = sum(member.size for member in archive)
    return {"name": path.name, "size": path.stat().st_size, "sha256": digest, "unpacked": unpacked}


def pack(folder: Path, target: Path) -> Path:
    """A runtime folder as an archive that is the same every time."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 0
        return member

    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(folder, ".", filter=plain)
    return target


def publish(folder: Path, files: Sequence[Path], manifest: dict[str, Any], keys: Keys) -> Path:
    """Puts files and manifest into the folder, the manifest last. Raises `Refused` for a wrong manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    times = {"issued_at": to_text(now), "expires_at": to_text(now + timedelta(days=RELEASE_DAYS))}
    whole = times | {"artifacts": [artifact(path) for path in files]} | manifest
    parse_manifest(msgspec.json.encode(whole))
    for path in files:
        if path.parent.resolve() != folder.resolve():
            shutil.copyfile(path, folder / path.name)
    write_durably(folder / MANIFEST_NAME, signed(whole, keys, MANIFEST_TYPE), READABLE)
    return folder / MANIFEST_NAME


def make_keys(folder: Path) -> None:
    """Three root keys, of which two sign together, one release key, and the first root."""
    folder.mkdir(parents=True)
    made = {name: Ed25519PrivateKey.generate() for name in ("root-1", "root-2", "root-3", "release-1")}
    for name, key in made.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_durably(folder / f"{name}.pem", pem)
    roots, releases = _by_role(made)
    expires = datetime.now(UTC) + timedelta(days=365 * ROOT_YEARS)
    data = signed(root_document(1, roots, releases, expires=expires), roots, ROOT_TYPE)
    write_durably(folder / root_name(1), data, READABLE)


def rotate(keys: Path, folder: Path) -> Path:
    """A new release key in place of the old one, and the root that says so, for the updates' folder."""
    documents = sorted(keys.glob("*.root.json"), key=lambda path: int(path.name.split(".")[0]))
    last = anchor(documents[-1].read_bytes())
    number = last.document.version + 1
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_durably(keys / f"release-{number}.pem", pem)
    roots = {keyid: _load(keys / f"{keyid}.pem") for keyid in last.document.root.keyids}
    expires = datetime.now(UTC) + timedelta(days=365 * ROOT_YEARS)
    value = root_document(number, roots, {f"release-{number}": key}, expires=expires)
    data = signed(value, roots, ROOT_TYPE)
    next_root(last, data)
    folder.mkdir(parents=True, exist_ok=True)
    for place in (keys, folder):
        write_durably(place / root_name(number), data, READABLE)
    return folder / root_name(number)


def _by_role(keys: Keys) -> tuple[Keys, Keys]:
    roots = {name: key for name, key in keys.items() if name.startswith("root-")}
    return roots, {name: key for name, key in keys.items() if name not in roots}


def _load(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{path}: this is no Ed25519 key. Name one that `keys` made.")
    return key


def main(words: Sequence[str] | None = None) -> None:
    """The command line of the maker."""
    parser = argparse.ArgumentParser(prog="scripts.release", description="Keys and signed releases.")
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("keys").add_argument("folder", type=Path, help="a new folder")
    again = commands.add_parser("rotate")
    again.add_argument("keys", type=Path, help="the folder that `keys` made")
    again.add_argument("folder", type=Path, help="the folder that stations read")
    out = commands.add_parser("publish")
    out.add_argument("folder", type=Path, help="the folder that stations read")
    out.add_argument("runtime", type=Path, help="the program as it lies in the folder of a version")
    out.add_argument("--key", type=Path, required=True, help="the release key, KEYS/release-1.pem")
    out.add_argument("--version", required=True)
    out.add_argument("--serial", type=int, required=True, help="one more than the manifest before")
    out.add_argument("--channel", default="stable")
    out.add_argument("--epoch", type=int, default=0, help="raise it, and no older release is taken again")
    out.add_argument("--percentage", type=int, default=100)
    out.add_argument("--paused", action="store_true")
    asked = parser.parse_args(words)
    if asked.command == "keys":
        make_keys(asked.folder)
    elif asked.command == "rotate":
        print(rotate(asked.keys, asked.folder))
    else:
        asked.folder.mkdir(parents=True, exist_ok=True)
        archive = pack(asked.runtime, asked.folder / f"runtime-{asked.version}.tar")
        manifest = {name: getattr(asked, name) for name in ("version", "serial", "channel", "epoch")}
        manifest["rollout"] = {"percentage": asked.percentage, "paused": asked.paused}
        print(publish(asked.folder, [archive], manifest, {asked.key.stem: _load(asked.key)}))


if __name__ == "__main__":
    main()
