"""The countries of the world and their names in the reader's language, as Unicode's CLDR has them; no HTTP.

CLDR comes with babel, which takes some megabytes: it is imported when a page asks for the first name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_ISO_3166_1 = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH
ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT
HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS
LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI
NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG
SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG
UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
CODES = frozenset(_ISO_3166_1.split())
"""ISO 3166-1 alpha-2, the officially assigned ones: those that the rules of radio are made for."""

_ORDER = {"zh-Hans": "gb2312", "zh-Hant": "big5", "ja": "shift_jis"}
"""The old character sets stand in the order of dictionaries: by pinyin, by strokes, by reading."""

_READ_AS = str.maketrans("瑙梵斐", "脑饭匪")
"""GB 2312 orders rare characters by their shape; these are read like those."""


def names(tag: str) -> Mapping[str, str]:
    """Every country by its code, in the alphabetical order of the language `tag`.

    Blocks at the first call for a language, for reading a file.
    """
    return _names(tag)


@lru_cache(maxsize=2)  # one reader at a time, and perhaps another
def _names(tag: str) -> Mapping[str, str]:
    from babel.core import Locale, UnknownLocaleError

    try:
        territories = Locale.parse(tag, sep="-").territories
    except (UnknownLocaleError, ValueError):
        territories = Locale.parse("en").territories
    named = {code: str(territories.get(code, code)) for code in CODES}
    return dict(sorted(named.items(), key=lambda item: (_place(item[1], tag), item[0])))


def _place(name: str, tag: str) -> bytes:
    """Where a name stands among others; accents and capital letters do not count."""
    if tag in _ORDER:
        return name.translate(_READ_AS).encode(_ORDER[tag], "replace")
    if tag == "ko":
        return name.encode()  # taken apart, syllables would stand in another order
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).encode()
