"""The errors of this room: one base, and one class for each part that can be missing or broken."""

from typing import ClassVar


class FirmwareError(Exception):
    """Base of what hardware can refuse: a stable code, a sentence (the message) and one action."""

    code: ClassVar[str] = "HW-000"
    action: ClassVar[str] = "Run the station's doctor and look at its log."


class LedUnavailable(FirmwareError):
    """No LED can be driven."""

    code: ClassVar[str] = "HW-001"
    action: ClassVar[str] = "Check the LED's overlay in the boot configuration and the service's rights."


class ButtonUnavailable(FirmwareError):
    """The button's input device cannot be read."""

    code: ClassVar[str] = "HW-002"
    action: ClassVar[str] = (
        "Check the button's overlay; a reset is also possible from the page and the console."
    )


class SoundUnavailable(FirmwareError):
    """A sound could not be played or a text not spoken."""

    code: ClassVar[str] = "HW-003"
    action: ClassVar[str] = "Check the loudspeaker, or switch sound off in the settings."


class HardwareUnknown(FirmwareError):
    """Nothing on this machine tells it from another one."""

    code: ClassVar[str] = "HW-004"
    action: ClassVar[str] = "Give the machine a machine-id (systemd-machine-id-setup) and start again."


class ResetFailed(FirmwareError):
    """A factory reset could not remove something; it is finished at the next start."""

    code: ClassVar[str] = "HW-005"
    action: ClassVar[str] = "Switch the station off and on; the reset goes on where it stopped."


class HardwareUnreadable(FirmwareError):
    """What names this machine is there and may not be read: the rest would make another name."""

    code: ClassVar[str] = "HW-007"
    action: ClassVar[str] = (
        "Let the station's user read it (chmod a+r; no ProtectProc or InaccessiblePaths for it), start again."
    )
