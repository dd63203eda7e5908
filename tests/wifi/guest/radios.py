"""The guest's four radios and who has them: the station, the house's router, a phone, a neighbour's phone."""

from __future__ import annotations

import os
from pathlib import Path

from tests.namespaces import Namespace, run

FOLDER = Path("/srv/world")
OTHERS = {"phone": "wlan1", "router": "wlan2", "neighbour": "wlan3"}
"""Namespaces and their radio; wlan0 stays with the station."""


def hand_out() -> None:
    """Gives each of the others a network of its own. NetworkManager never sees their radios again."""
    FOLDER.mkdir(exist_ok=True)
    for name, interface in OTHERS.items():
        space = Namespace.made(name, unique=False)
        phy = Path(f"/sys/class/net/{interface}/phy80211/name").read_text().strip()
        run("iw", "phy", phy, "set", "netns", "name", name)
        space.ip("link", "set", interface, "up")
    os.sync()
