"""Which languages there are, which one a person gets, and how a sentence is said in it; no HTTP here.

Messages are English and are their own ids. A language is a catalogue `<tag>/LC_MESSAGES/<domain>.po` in the
folder of whoever has pages; English needs none. A missing message falls back to English instead of failing.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from language import catalogue, pseudo
from language.sentence import Sentence

DEFAULT = "en"

NAMES = {
    "en": "English",
    "zh-Hans": "简体中文",
    "zh-Hant": "繁體中文",
    "ja": "日本語",
    "ko": "한국어",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "pt": "Português",
    "ar": "العربية",
    pseudo.LONG: "Pseudo (long)",
    pseudo.RIGHT_TO_LEFT: "Pseudo (right to left)",
}
"""Each language in its own words, so that it is found by those who need it."""

_WITHOUT_SPACES = {"zh-Hans", "zh-Hant", "ja"}
"""Their full stop brings its own space."""

_RIGHT_TO_LEFT = {"ar", pseudo.RIGHT_TO_LEFT}
# RFC 4647 lookup shortens tags; script-less Chinese must first be told which script the region writes.
_CHINESE = {"tw": "zh-Hant", "hk": "zh-Hant", "mo": "zh-Hant", "hant": "zh-Hant"}

_OF_COUNTRY = {"CN": "zh-Hans", "TW": "zh-Hant", "HK": "zh-Hant", "MO": "zh-Hant", "JP": "ja", "KR": "ko"}
"""Where the country alone says the language well enough, for a browser that asks for none of ours."""

_NUMBER_FIELDS = {"number", "count"}
"""Fields of a sentence that hold a number; those who fill them write it as a program does."""
_NUMBER = re.compile(r"-?\d{1,15}(?:\.(?P<decimals>\d{1,6}))?")

_PLAIN = (".", ",", 4)
_NUMBERS = {
    "de": (",", ".", 4),
    "fr": (",", "\u202f", 4),
    "es": (",", ".", 5),
    "pt": (",", ".", 4),
}
"""Decimal mark, mark between thousands, and the number of digits from which it is written (CLDR).

Arabic pages keep Western digits: PIN, codes and addresses are typed with them, and one page in two kinds of
digits is hard to read.
"""

# First-strong isolate and its end: a name from outside cannot turn the sentence around it.
_ISOLATE, _LEFT_TO_RIGHT, _END = "\u2068", "\u2066", "\u2069"


@dataclass(frozen=True, slots=True)
class Language:
    """One language with its messages."""

    tag: str
    messages: gettext.NullTranslations = field(default_factory=gettext.NullTranslations, repr=False)

    @property
    def name(self) -> str:
        return NAMES.get(self.tag, self.tag)

    @property
    def direction(self) -> str:
        """`rtl` or `ltr`, as HTML's `dir` wants it."""
        return "rtl" if self.tag in _RIGHT_TO_LEFT else "ltr"

    def say(self, *sentences: Sentence) -> str:
        """The sentences in this language, one after the other as it is written here."""
        return self._between.join(said for sentence in sentences if (said := self._say(sentence)))

    @property
    def _between(self) -> str:
        return "" if self.tag in _WITHOUT_SPACES else " "

    def _say(self, sentence: Sentence) -> str:
        """Every filled-in value is isolated from the text around it."""
        if not sentence:
            return ""
        fields = {
            name: f"{_ISOLATE}{self._said(value, is_number=name in _NUMBER_FIELDS)}{_END}"
            for name, value in sentence.fields.items()
        }
        return self.messages.gettext(sentence.text) % fields

    def _said(self, value: str | Sentence, *, is_number: bool) -> str:
        if not isinstance(value, str):
            return self._say(value)
        if is_number and (found := _NUMBER.fullmatch(value)):
            return self.number(float(value), len(found["decimals"] or ""))
        return value

    def tell(self, text: str, **fields: str) -> str:
        """Short for `say(Sentence(text, fields))`."""
        return self.say(Sentence(text, fields))

    def measure(self, text: str) -> str:
        """A number with its unit, which reads from left to right in every language."""
        return text if self.direction == "ltr" else f"{_LEFT_TO_RIGHT}{text}{_END}"

    def number(self, value: float, digits: int = 0, *, signed: bool = False) -> str:
        """`value` rounded to `digits` after the decimal mark, with the marks of this language."""
        decimal, thousands, grouped_from = _NUMBERS.get(self.tag, _PLAIN)
        group = "," if abs(value) >= 10 ** (grouped_from - 1) else ""
        text = f"{value:{'+' if signed else ''}{group}.{digits}f}"
        return text.translate({ord("."): decimal, ord(","): thousands})

    def count(self, forms: tuple[str, str], number: int) -> str:
        """The right one of `forms` with `%(count)s` filled, by this language's plural rule."""
        return self.messages.ngettext(*forms, number) % {"count": self.number(number)}


class Languages:
    """All languages that some pages can speak, the default first."""

    def __init__(self, languages: Iterable[Language]) -> None:
        self._by_tag = {language.tag: language for language in languages}
        self.default = next(iter(self._by_tag.values()))

    def __iter__(self) -> Iterator[Language]:
        return iter(self._by_tag.values())

    def __len__(self) -> int:
        return len(self._by_tag)

    def get(self, tag: str) -> Language | None:
        """The language with exactly this tag."""
        return self._by_tag.get(tag)

    def choose(self, accept: str, country: str = "", system: str = "") -> Language:
        """The best language for an Accept-Language header (RFC 9110 §12.5.4, lookup of RFC 4647 §3.4).

        Where it names none of ours, the station's `country` (ISO 3166) decides, then the `system` locale
        (as in `LANG`: `de_DE.UTF-8`).
        """
        tags = {tag.lower(): language for tag, language in self._by_tag.items()}
        locale = system.partition(".")[0].partition("@")[0].replace("_", "-")
        for wanted in (*accepted(accept), _OF_COUNTRY.get(country.upper(), ""), locale):
            for candidate in _shortened(wanted):
                if candidate in tags:
                    return tags[candidate]
        return self.default


def load(folder: Path, domain: str, *, pseudo_locales: bool = False) -> Languages:
    """English, whatever catalogues of `domain` are in `folder`, and the pseudo-locales if wanted."""
    found = [Language(DEFAULT), *_translated(folder, domain)]
    if pseudo_locales:
        found.append(Language(pseudo.LONG, pseudo.Longer()))
        found.append(Language(pseudo.RIGHT_TO_LEFT, pseudo.Mirrored()))
    return Languages(found)


@cache
def _translated(folder: Path, domain: str) -> tuple[Language, ...]:
    """Read once for each folder: a catalogue does not change while the program runs."""
    paths = ((tag, folder / tag / "LC_MESSAGES" / f"{domain}.po") for tag in NAMES)
    return tuple(Language(tag, catalogue.read(path)) for tag, path in paths if path.is_file())


def accepted(header: str) -> list[str]:
    """Language tags of an Accept-Language header, most wanted first; nonsense is left out."""
    weighted: list[tuple[float, str]] = []
    for part in header[:1000].split(",")[:32]:
        tag, _, parameters = part.strip().partition(";")
        quality = _quality(parameters)
        if tag and tag != "*" and quality > 0:
            weighted.append((quality, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def _shortened(tag: str) -> list[str]:
    """`tag`, then ever less exact, in lower case: de-AT gives de-at, de."""
    parts = tag.lower().split("-")
    candidates = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    if parts[0] == "zh":
        script = next((_CHINESE[part] for part in parts[1:] if part in _CHINESE), "zh-Hans")
        candidates.insert(1 if len(parts) > 1 else 0, script.lower())
    return candidates
