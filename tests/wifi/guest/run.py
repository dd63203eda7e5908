"""Runs in the guest: `prepare`, `radios`, `house`, or a scenario, which ends with a line of JSON."""

from __future__ import annotations

import json
import sys
import traceback

from tests.wifi.guest import radios
from tests.wifi.guest.house import House
from tests.wifi.guest.router import Router
from tests.wifi.guest.scenarios import SCENARIOS
from tests.wifi.guest.station import Station
from tests.wifi.guest.world import World


def main(name: str) -> int:
    """The exit code: 0 when the scenario went as told."""
    if name == "house":
        Router().wire()
        House().start_cloud()
        return 0
    if name in ("prepare", "radios"):
        radios.hand_out()
        if name == "prepare":
            Station().install()
        return 0
    world = World()
    try:
        SCENARIOS[name][1](world)
    except Exception:
        print(world.station.evidence(), traceback.format_exc(), sep="\n", flush=True)
        return 1
    finally:
        print(world.station.text())
        print(json.dumps({"scenario": name, "seconds": world.seconds}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
