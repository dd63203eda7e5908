"""What is left to the program nmcli: deleting a profile by its UUID; no secret passes here.

nmcli answers no question here: it cuts names at colons, cannot show every SSID, and its exit code 4 means
anything. Lists, secrets, reasons and signals go over D-Bus.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import nmcli

from appliance.files import to_the_end

PATIENCE_S = 20
_CHILD_S = PATIENCE_S + 5.0

_nmcli: Any = nmcli  # its types do not name what it exports
_ERRORS = (  # they have no base of their own
    _nmcli.ConnectionDeleteFailedException,
    _nmcli.InvalidUserInputException,
    _nmcli.NetworkManagerNotRunningException,
    _nmcli.TimeoutExpiredException,
    _nmcli.UnspecifiedException,
)


class CommandFailed(Exception):
    """nmcli could not do it; the text says why and holds no secret."""


class Commands:
    """nmcli with a limit to its time, in the C language, and never through sudo."""

    def __init__(self, bus_address: str | None = None) -> None:
        system = _nmcli.SystemCommand(self._run)
        system.disable_use_sudo()
        self._connection = _nmcli.ConnectionControl(system)
        self._environment: dict[str, str] = {"LC_ALL": "C"}
        if bus_address is not None:
            self._environment["DBUS_SYSTEM_BUS_ADDRESS"] = bus_address

    async def delete(self, uuid: str) -> None:
        """Deletes a profile for good; one that is not there is no error. Raises `CommandFailed`."""
        try:
            await to_the_end(self._connection.delete, uuid, wait=PATIENCE_S)
        except _nmcli.NotExistException:
            return
        except (subprocess.TimeoutExpired, OSError) as error:
            raise CommandFailed(f"nmcli: {type(error).__name__}") from None
        except _ERRORS as error:
            raise CommandFailed(f"nmcli: {error}") from None

    def _run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        environment: Mapping[str, str] = {**os.environ, **self._environment}
        options |= {"env": environment, "timeout": _CHILD_S, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, **options)  # noqa: S603 - the arguments are ours


async def make_durable() -> None:
    """What NetworkManager has written is on the disk afterwards; its folder is not ours to open."""
    await asyncio.to_thread(os.sync)
