"""Brings all catalogues up to date: what pages can say is found, and every `.po` gets what is new.

`python -m scripts.messages` (or `make messages`) keeps every translation there is, adds what is new without a
translation, and marks what changed as fuzzy. Translating is the translator's affair; the tests say what is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from cloud import speaking
from portal import languages

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Domain:
    """One program's catalogues, and the rooms where sentences stand that can reach its pages."""

    name: str
    rooms: tuple[str, ...]
    folder: Path


PORTAL = Domain(languages.DOMAIN, ("portal", "appliance", "firmware"), languages.LOCALES)
CLOUD = Domain(speaking.DOMAIN, ("cloud",), speaking.LOCALES)

METHODS = [("**/templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
OPTIONS = {"**/templates/**.html": {"newstyle_gettext": "true", "trimmed": "false"}}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "P_": (1, 2)}

_NOT_KEPT = tuple(
    f'"{name}:'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
"""Headers that git knows better."""

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def template(domain: Domain = PORTAL) -> Catalog:
    """Every message of the pages, in the order of the files."""
    found = Catalog(project="meteor-appliance", charset="utf-8", creation_date=_EPOCH, fuzzy=False)
    for room in domain.rooms:
        extracted = extract_from_dir(
            ROOT / room,
            METHODS,
            OPTIONS,
            keywords=KEYWORDS,
            comment_tags=("Translators:",),
            strip_comment_tags=True,
        )
        for name, _, message, comments, _ in extracted:
            found.add(message, locations=[(f"{room}/{name}", 0)], auto_comments=comments)
    return found


def catalogues(domain: Domain = PORTAL) -> dict[str, Path]:
    """The file of each language that has one, by its tag."""
    found = sorted(domain.folder.glob(f"*/LC_MESSAGES/{domain.name}.po"))
    return {path.parent.parent.name: path for path in found}


def load(path: Path) -> Catalog:
    """The catalogue in `path`."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name.replace("-", "_"))


def save(catalogue: Catalog, path: Path) -> None:
    """Writes `catalogue` as it is committed: in the order of the pages, with the files but not the lines."""
    file = BytesIO()
    write_po(file, catalogue, width=110, include_lineno=False, ignore_obsolete=True)
    lines = file.getvalue().decode().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(_NOT_KEPT)), "utf-8")


def _is_done(message: Message) -> bool:
    texts = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
    return not message.fuzzy and bool(texts) and all(texts)


def main() -> None:
    """Updates every catalogue and says what is left to translate."""
    for domain in (PORTAL, CLOUD):
        wanted = template(domain)
        for tag, path in catalogues(domain).items():
            catalogue = load(path)
            catalogue.update(wanted, update_creation_date=False)
            save(catalogue, path)
            left = sum(1 for message in catalogue if message.id and not _is_done(message))
            print(f"{domain.name:<7} {tag:<8} {len(catalogue)} messages, {left} to translate")


if __name__ == "__main__":
    main()
