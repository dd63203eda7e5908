"""A Debian root in a folder, made once for each list of packages, in which commands run. Needs root."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SUITE = "trixie"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ChrootUnavailable(Exception):
    """The root cannot be made here; the text says why and what to do."""


class CommandFailed(Exception):
    """A command in the root ended with an error; the text is the end of what it printed."""


class Chroot:
    """One root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self, *command: str, cwd: str = "/", env: Mapping[str, str] | None = None, network: bool = False
    ) -> str:
        """What the command printed. It sees no process of this machine, and with `network` its network in
        place of a loopback of its own.

        Raises `CommandFailed`.
        """
        inner = 'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/run" && '
        inner += "" if network else "ip link set lo up && "
        inner += 'exec chroot "$0" /usr/bin/env --chdir="$1" "${@:2}"'
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *(() if network else ("--net",))]
        done = subprocess.run(
            [*apart, "bash", "-c", inner, str(self.folder), cwd, *command],
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
            | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-6000:]}")
        return done.stdout

    @contextmanager
    def copy(self) -> Iterator[Chroot]:
        """The same root for one use; what is changed in it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="root-", dir=self.folder.parent) as name:
            target = Path(name) / "root"
            subprocess.run(["cp", "-a", "--reflink=auto", str(self.folder), str(target)], check=True)
            yield Chroot(target)


def debian(packages: Sequence[str], variant: str = "minbase") -> Chroot:
    """A root with these packages, from the cache or made now (about a minute). Raises `ChrootUnavailable`."""
    recipe = hashlib.sha256(json.dumps([SUITE, variant, *packages]).encode()).hexdigest()[:12]
    target = cache() / f"{SUITE}-{recipe}"
    if target.is_dir():
        return Chroot(target)
    if shutil.which("mmdebstrap") is None:
        raise ChrootUnavailable("mmdebstrap is missing. Run: apt install mmdebstrap")
    if os.geteuid() != 0:
        raise ChrootUnavailable("The files of a Debian root belong to root. Run it as root.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=target.parent) as name:
        making = Path(name) / "root"
        command = [
            *("mmdebstrap", "--mode=root", "--format=directory", f"--variant={variant}", "--quiet"),
            *("--aptopt=APT::Install-Recommends false", f"--include={','.join(packages)}"),
            *(SUITE, str(making)),
        ]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode != 0:
            raise ChrootUnavailable(f"mmdebstrap: {made.stderr[-2000:]}")
        making.rename(target)
    return Chroot(target)


def cache() -> Path:
    """Where roots are kept between runs; outside of the project, because they are large."""
    named = os.environ.get("METEOR_DEB_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "meteor-appliance/deb"
