"""Prints what wpa_supplicant says of an interface: `listen.py INTERFACE FOLDER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from appliance.network.hotspot.supplicant import listen

asyncio.run(listen(sys.argv[1], lambda event: print(event, flush=True), Path(sys.argv[2])))
