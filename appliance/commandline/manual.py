"""The long help of commands that need one; words only, so that a small command starts fast."""

from __future__ import annotations

DOCTOR = """\
Looks at everything that can be wrong with a station and tells, for each fault, what was
measured and the one thing to do about it.

A running station is asked over its control socket and says what it sees itself. Beside a
stopped one the command looks at what it can without it: the network of the machine, the
way to the cloud, the clock, the folders, the disk, the buffer and the hardware.

Each line begins with a mark: a square for what is wrong, a triangle for what deserves a
look, a dash for what cannot be told, a circle for what is in order. The codes are
explained in docs/troubleshooting.md. Nothing is changed, and no third party is asked.
"""

DOCTOR_ENDING = """\
exit codes:
  0  nothing is wrong; there may be something to look at
  1  something is wrong, or the station does not run
  5  a setting is wrong
  6  not allowed: run as the station's user

examples:
  meteor-appliance doctor
  meteor-appliance --data-dir run-data/station doctor --json
"""

BUNDLE = """\
Writes a .tar.gz of at most 2 MB for whoever helps: the findings of the doctor, the settings,
versions, the status, figures, how full the buffer is and why messages were set aside, the
last lines of the log, and the station's record.

No password, PIN, claim code, key or token is in it, and no recording. Names of networks and
hardware and public addresses are replaced by the same stand-in everywhere (ssid-1, mac-1,
ip-1), so that it can still be followed what belongs together. Look into it before you send it.

A running station is asked over its control socket. Beside a stopped one there is no log:
add what `journalctl` tells.
"""

BUNDLE_ENDING = """\
exit codes:
  0  written; the path is printed
  1  it could not be written, or FILE is there already
  5  a setting is wrong
  6  not allowed: run as the station's user

examples:
  meteor-appliance support-bundle
  meteor-appliance support-bundle help-me.tar.gz
"""
