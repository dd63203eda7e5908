"""The doctor: names what is wrong with a station, with what was measured and one thing to do.

Each file is one family of checks. `patient.py` is what they may look at, `examine.py` runs them all.
"""
