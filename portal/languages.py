"""Which languages there are, which one a person gets, and how a sentence is said in it; no HTTP here.

Messages are English and are their own ids. A language is a folder `locales/<tag>/LC_MESSAGES/portal.mo`;
English needs none. A missing message falls back to English instead of failing.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from portal import pseudo
from portal.view import Sentence

DEFAULT = "en"
LOCALES = Path(__file__).parent / "locales"

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

_RIGHT_TO_LEFT = {"ar", pseudo.RIGHT_TO_LEFT}
# RFC 4647 lookup shortens tags; script-less Chinese must first be told which script the region writes.
_CHINESE = {"tw": "zh-Hant", "hk": "zh-Hant", "mo": "zh-Hant", "hant": "zh-Hant"}

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

    def say(self, sentence: Sentence) -> str:
        """`sentence` in this language, every filled-in value isolated from the text around it."""
        if not sentence:
            return ""
        fields = {name: f"{_ISOLATE}{value}{_END}" for name, value in sentence.fields.items()}
        return self.messages.gettext(sentence.text) % fields

    def tell(self, text: str, **fields: str) -> str:
        """Short for `say(Sentence(text, fields))`."""
        return self.say(Sentence(text, fields))

    def measure(self, text: str) -> str:
        """A number with its unit, which reads from left to right in every language."""
        return text if self.direction == "ltr" else f"{_LEFT_TO_RIGHT}{text}{_END}"

    def count(self, one: str, many: str, number: int) -> str:
        """`one` or `many` with `%(count)s` filled, by this language's plural rule."""
        return self.messages.ngettext(one, many, number) % {"count": number}


class Languages:
    """All languages the portal can speak, the default first."""

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

    def choose(self, accept: str) -> Language:
        """The best language for an Accept-Language header (RFC 9110 §12.5.4, lookup of RFC 4647 §3.4)."""
        tags = {tag.lower(): language for tag, language in self._by_tag.items()}
        for wanted in accepted(accept):
            for candidate in _shortened(wanted):
                if candidate in tags:
                    return tags[candidate]
        return self.default


def load(*, pseudo_locales: bool = False, folder: Path = LOCALES) -> Languages:
    """English, whatever catalogues are in `folder`, and the pseudo-locales if wanted."""
    found = [Language(DEFAULT)]
    for tag in NAMES:
        path = folder / tag / "LC_MESSAGES" / "portal.mo"
        if path.is_file():
            with path.open("rb") as catalogue:
                found.append(Language(tag, gettext.GNUTranslations(catalogue)))
    if pseudo_locales:
        found.append(Language(pseudo.LONG, pseudo.Longer()))
        found.append(Language(pseudo.RIGHT_TO_LEFT, pseudo.Mirrored()))
    return Languages(found)


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
