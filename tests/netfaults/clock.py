"""The station's own wall clock, which a test can put wrong; `clock.c` shows it to the station's process."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


class StationClock:
    """Right and synchronised until it is told otherwise. Without gcc the machine's own clock is used."""

    def __init__(self, folder: Path) -> None:
        self._shown = folder / "clock"
        self.set()
        self._library = folder / "clock.so"
        self.possible = shutil.which("gcc") is not None
        if self.possible:
            source = HERE / "clock.c"
            subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", self._library, source], check=True)

    def set(self, *, ahead_s: int = 0, synchronized: bool = True) -> None:
        """`ahead_s` seconds are added to the machine's time; negative ones make it older."""
        content = struct.pack("=qq", ahead_s, synchronized)
        with self._shown.open("r+b" if self._shown.exists() else "wb") as file:
            file.write(content)  # in place: the station has the file mapped

    @property
    def environment(self) -> tuple[str, ...]:
        """What stands before the station's command."""
        if not self.possible:
            return ()
        return ("env", f"LD_PRELOAD={self._library}", f"NETFAULTS_CLOCK={self._shown}")
