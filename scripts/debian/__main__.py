"""Builds the packages: `python -m scripts.debian [--out FOLDER]`, in a Debian root of their own.

The sources are the last commit. The version is that of `debian/changelog`, and each version of the program is
a runtime package of its own, so `debian/control` is written from `debian/control.in` here.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.debian.chroot import Chroot, ChrootUnavailable, CommandFailed, debian
from scripts.debian.sources import NMCLI, SourceUnavailable, fetch

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    *(
        "build-essential",
        "dpkg-dev",
        "debhelper",
        "dh-python",
        "fakeroot",
        "lintian",
        "python3-all",
        "python3-setuptools",
    ),
    "pybuild-plugin-pyproject",
)
STRICT = (
    "--allow-root",
    "--fail-on",
    "error,warning",
    "--suppress-tags",
    "bogus-mail-host,initial-upload-closes-no-bugs",
)
"""The addresses of maintainers are nobody's until somebody publishes; nothing closes Debian's own bugs."""


def main() -> int:
    """Exit code 0 when all packages are there and lintian has nothing to say that matters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist/deb", help="where the packages go")
    chosen = parser.parse_args()
    try:
        for package in build(chosen.out):
            print(package)
    except (ChrootUnavailable, CommandFailed, SourceUnavailable) as failure:
        print(f"make deb: {failure}", file=sys.stderr)
        return 1
    return 0


def build(out: Path, as_version: str | None = None) -> list[Path]:
    """All packages, in `out`; `as_version` is for those who need a second one. Raises what `main` catches."""
    root = debian(TOOLS)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.deb"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="build-", dir=root.folder / "srv") as name:
        place = Path(name)
        _our_source(place / "meteor-appliance", as_version or version())
        _nmcli_source(place / "nmcli", out)
        for source in ("nmcli", "meteor-appliance"):
            _packages(root, place / source)
        for package in place.glob("*.deb"):
            shutil.copy(package, out)
    return sorted(out.glob("*.deb"))


def version() -> str:
    """Of the packages and the program alike."""
    first = (ROOT / "debian/changelog").read_text().splitlines()[0]
    found = re.fullmatch(r"meteor-appliance \(([^)]+)\) .*", first)
    assert found is not None, "debian/changelog begins with something else"
    return found.group(1)


def _our_source(folder: Path, wanted: str) -> None:
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    control = (folder / "debian/control.in").read_text().replace("@VERSION@", wanted)
    (folder / "debian/control").write_text(control)
    changes = folder / "debian/changelog"
    changes.write_text(changes.read_text().replace(f"({version()})", f"({wanted})", 1))


def _nmcli_source(folder: Path, out: Path) -> None:
    archive = fetch(NMCLI, out)
    shutil.copy(archive, folder.parent / f"python-nmcli_{NMCLI.version}.orig.tar.gz")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder), "--strip-components=1", "-f", str(archive)], check=True)
    shutil.copytree(ROOT / "packaging/nmcli/debian", folder / "debian")
    shutil.copy(folder / "LICENSE.txt", folder / "debian/copyright")


def _packages(root: Chroot, source: Path) -> None:
    inside = f"/{source.relative_to(root.folder)}"
    root.run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=inside)
    changes = max(source.parent.glob("*.changes"), key=lambda each: each.stat().st_mtime)
    said = root.run("lintian", *STRICT, changes.name, cwd=str(Path(inside).parent))
    if said.strip():
        print(said.strip())


if __name__ == "__main__":
    sys.exit(main())
