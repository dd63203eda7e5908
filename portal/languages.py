"""The languages of the portal; how a language is chosen and speaks stands in the room `language`."""

from __future__ import annotations

from pathlib import Path

from language import languages
from language.languages import Languages

LOCALES = Path(__file__).parent / "locales"
DOMAIN = "portal"


def load(*, pseudo_locales: bool = False) -> Languages:
    """English, the catalogues of the portal, and the pseudo-locales if wanted."""
    return languages.load(LOCALES, DOMAIN, pseudo_locales=pseudo_locales)
