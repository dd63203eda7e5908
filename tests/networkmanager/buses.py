"""Private message buses for tests: a real dbus-daemon on a socket of its own, never the machine's bus."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{kind}</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  {policy}
</busconfig>
"""

EVERYBODY = """<policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>
  </policy>"""

AS_INSTALLED = """<policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
    <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/>
    <allow receive_type="error"/><allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <includedir>/usr/share/dbus-1/system.d</includedir>
  <includedir>/etc/dbus-1/system.d</includedir>"""
"""What Debian's system bus allows, with the policies that the installed services bring."""


def why_no_bus() -> str | None:
    """Why no private bus can be made here, or None."""
    return None if shutil.which("dbus-daemon") else "dbus-daemon is not installed (Debian: apt install dbus)"


def write_config(folder: Path, kind: str, policy: str) -> tuple[Path, str]:
    """A configuration file and the address that the bus will have."""
    config, socket = folder / "bus.conf", folder / "bus"
    config.write_text(_CONFIG.format(kind=kind, socket=socket, policy=policy))
    return config, f"unix:path={socket}"


@contextmanager
def private_bus() -> Iterator[str]:
    """The address of a bus on which everybody may do everything."""
    with tempfile.TemporaryDirectory(prefix="bus-") as folder:  # a socket's path must be short
        config, address = write_config(Path(folder), "session", EVERYBODY)
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as daemon:
            assert daemon.stdout is not None
            assert daemon.stdout.readline(), "the bus did not start"
            try:
                yield address
            finally:
                daemon.terminate()
