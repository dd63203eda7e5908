"""One activation of one profile, followed to its end; why it failed is not known here."""

from __future__ import annotations

from collections.abc import Callable

from dbus_fast import Message

from appliance.network.networkmanager import names
from appliance.network.networkmanager.bus import ServiceGone
from appliance.network.networkmanager.names import ActiveState
from appliance.network.networkmanager.service import Service


async def activate(
    service: Service, profile: str, device: str, seconds: float, failed: Callable[[], bool] = lambda: False
) -> bool:
    """Whether the profile is up, after `seconds` at the latest.

    `failed` may tell earlier that it will not be. Raises `CallFailed`, also when NetworkManager goes away.
    """
    removed: set[str] = set()

    def note(message: Message) -> None:
        """A short activation may be over, and its object gone, before the answer to the call is read."""
        if message.interface == names.OBJECT_MANAGER:
            note_path = removed.add if message.member == "InterfacesRemoved" else removed.discard
            note_path(str(message.body[0]))

    with service.listening(note):
        answer = await service.call(
            names.MANAGER_PATH, names.MANAGER, "ActivateConnection", "ooo", [profile, device, names.NOTHING]
        )
        active = str(answer[0])

        def state() -> int:
            return int(service.mirror.get(active, names.ACTIVE).get("State", ActiveState.UNKNOWN))

        def over() -> bool:
            if not service.present or active in removed:
                return True
            return state() in (ActiveState.ACTIVATED, ActiveState.DEACTIVATED) or failed()

        await service.until(over, seconds)
    if not service.present:
        raise ServiceGone("ActivateConnection", "gone meanwhile")
    return state() == ActiveState.ACTIVATED
