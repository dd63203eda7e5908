"""Where an agent goes on after it was killed: from its book and from what it finds. Pure.

| The book says | and | it goes on as |
|---|---|---|
| idle, available, downloading | | the same |
| installed, armed | the new version is not whole | downloading |
| verified | | verified: hashes and unpacks again |
| installed, armed | the new version is whole | the same |
| armed | the pointer is at the new version | switched |
| switched, probing, probation | the pointer is at the new version | switched: started again, probed anew |
| switched, probing, probation, committed | the pointer is elsewhere | rolling back: UPD-028 |
| committed, rolling back, rolled back | | the same: their acts may be repeated |
"""

from __future__ import annotations

from collections.abc import Collection

from firmware.update.book import State

_BESIDE = {State.VERIFIED, State.INSTALLED, State.ARMED}
_ON_TRIAL = {State.SWITCHED, State.PROBING, State.PROBATION}


def resume(state: State, version: str, *, pointed: str | None, installed: Collection[str]) -> State:
    """The state to go on from."""
    if state is State.ARMED and pointed == version:
        return State.SWITCHED
    if state in _BESIDE and state is not State.VERIFIED and version not in installed:
        return State.DOWNLOADING
    if state in _ON_TRIAL:
        return State.SWITCHED if pointed == version else State.ROLLING_BACK
    if state is State.COMMITTED and pointed != version:
        return State.ROLLING_BACK
    return state
