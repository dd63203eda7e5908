"""What the station is doing and what a person should know, in sentences; each is also its own message id.

What was written down in English as an error is recognised in `appliance/recognised.py`.
"""

from __future__ import annotations

from portal.sentences import N_
from portal.view import Sentence
from statemachine.lifecycle import State

_STEPS = {
    State.UNINITIALIZED: N_("The station is starting."),
    State.INITIALIZING: N_("The station is looking at its own hardware."),
    State.SETUP: N_("The station waits for you to choose its network."),
    State.CONFIGURING: N_("Choose the network that the station shall use."),
    State.CONNECTING: N_("The station is joining the network."),
    State.NETWORK_READY: N_("The station is online and waits for you to claim it."),
    State.CLAIMING: N_("The station is proving to the cloud who it is."),
    State.ACTIVATING: N_("The station is fetching its configuration."),
    State.OPERATIONAL: N_("The station is running."),
    State.UPDATING: N_("The station is applying new settings."),
    State.RECONNECTING: N_("The station lost its network and is looking for it. Recording goes on."),
    State.ERROR: N_("Something failed. The station tries again by itself."),
    State.HALTED: N_("The station has stopped. Unplug it, wait ten seconds and plug it in again."),
}
_RESCUE = N_("The station lost its network. Recording goes on; you can give it another network here.")


def step(state: State, *, claimed: bool) -> Sentence:
    """The sentence for `state`. On a claimed station the setup state is the rescue hotspot."""
    if claimed and state in (State.SETUP, State.CONFIGURING):
        return Sentence(_RESCUE)
    return Sentence(_STEPS[state])


LEVELS = {
    2: (
        "UPL-002",
        N_("The connection is poor, so the station sends what it recorded every five minutes."),
        N_("Nothing to do: urgent messages go at once, and it returns by itself."),
    ),
    3: (
        "UPL-003",
        N_("The cloud cannot be reached. The station keeps what it records and sends it later."),
        N_("Check the internet connection if this stays."),
    ),
    4: (
        "UPL-004",
        N_("Disk or power run short. The station keeps only what it records, and does nothing else."),
        N_("Make room on the disk, or check the power supply."),
    ),
}
"""By level of degradation: its code, what it means, and what to do."""
EVERYTHING = N_("Everything is sent at once.")
"""What the first level means."""
BACKUP = N_("The first address of the cloud does not answer; the station uses %(address)s.")
MEDIA_STAY = N_("Pictures and recordings stay on the station: the owner switched their upload off.")
MEDIA_STAY_ACTION = N_("Copy them from the station before they grow too old, or switch it on in the cloud.")
BASE_PATH = N_("The folder for recordings cannot be used: %(reason)s.")
BASE_PATH_ACTION = N_("They are kept in the station's own folder. Mount the disk, then restart the station.")
BORROWED = N_(
    "No known network works, so the station uses the open network %(ssid)s. What it sends is encrypted."
)
BORROWED_ACTION = N_("Check your router; the station returns by itself when its network is back.")
CLOCK_WRONG = N_("The station's clock is wrong by %(seconds)s s.")
CLOCK_ACTION = N_("Nothing to do: the station corrects what it sends. Check the network's time if it stays.")
DEAD = N_("Messages that could not be delivered and were set aside: %(count)s.")
DEAD_ACTION = N_("`meteor-appliance buffer ls` on the station says why; `buffer retry` tries them again.")
DAMAGED = N_("The buffer was damaged and was replaced; messages recovered: %(count)s.")
DAMAGED_ACTION = N_("Look at the card of the station; recording goes on.")
DISK_LOW = N_("The disk is nearly full.")
DISK_ACTION = N_("Old recordings can be removed; events that wait to be sent are kept.")
CONFIG_REFUSED = N_("New settings from the cloud were refused; the last good ones stay: %(reason)s")
CONFIG_ACTION = N_("Correct the settings on the station's page in the cloud.")
LAST_ERROR_ACTION = N_("The station tries again by itself.")
HEARTBEAT_FAILS = N_("The cloud does not hear from the station: %(reason)s")
REJECTED = N_("Files in the spool that could not be read and lie in its folder `rejected`: %(count)s.")
REJECTED_ACTION = N_("Each has a note beside it that says why.")
