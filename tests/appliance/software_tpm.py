"""A TPM 2.0 in software (swtpm) for tests: its own process, its own state, reached by a Unix socket."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest


def missing() -> str:
    """Why there can be no TPM here; empty when there can."""
    if shutil.which("swtpm") is None:
        return "swtpm is missing: apt install swtpm"
    if importlib.util.find_spec("tpm2_pytss") is None:
        return "tpm2-pytss is missing: apt install libtss2-dev, then pip install -e '.[tpm]'"
    return ""


needs_tpm = pytest.mark.skipif(bool(missing()), reason=missing() or "there is one")


class SoftwareTpm:
    """`name` is what the library calls it. Its state outlives `stop`, as a chip outlives a power cut."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tpm-"))  # short: a socket's path is at most 107 bytes
        self._process: subprocess.Popen[bytes] | None = None
        self.name = f"swtpm:path={self._folder}/tpm"

    def start(self) -> None:
        """Switches it on."""
        data, control = (self._folder / name for name in ("tpm", "tpm.ctrl"))
        self._process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._folder}"),
                *("--server", f"type=unixio,path={data}", "--ctrl", f"type=unixio,path={control}"),
                *("--flags", "not-need-init,startup-clear", "--log", f"file={self._folder}/log"),
            ]
        )
        self._await(control)

    def _await(self, path: Path) -> None:
        """Until it listens."""
        deadline = time.monotonic() + 20
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "log").read_text()
            try:
                with socket.socket(socket.AF_UNIX) as trial:
                    trial.connect(os.fspath(path))
            except OSError:
                assert time.monotonic() < deadline, "swtpm does not listen"
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Switches it off."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def clear(self) -> None:
        """As its firmware or `tpm2_clear` does it: the seed of all keys is another one afterwards."""
        from tpm2_pytss import ESAPI, ESYS_TR

        with ESAPI(self.name) as tpm:
            tpm.clear(ESYS_TR.LOCKOUT)

    def replace(self) -> None:
        """Another chip in its place."""
        self.stop()
        for path in self._folder.iterdir():
            path.unlink()
        self.start()

    def remove(self) -> None:
        """Stops it and throws it away."""
        self.stop()
        shutil.rmtree(self._folder)
