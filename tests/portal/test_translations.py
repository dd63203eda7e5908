"""Each translation is complete, keeps what must be kept, and leaves no English; and our reader reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from language import catalogue
from language.catalogue import CatalogueDamaged
from scripts.messages import catalogues, load, save, template

FILES = catalogues()
every_language = pytest.mark.parametrize("tag", FILES)

# CLDR, for whole numbers below a million: the form of each of these numbers.
NUMBERS = (0, 1, 2, 3, 10, 11, 99, 100, 101, 102, 103, 111, 1000)
PLURALS = {
    "zh-Hans": (0,) * 13,
    "zh-Hant": (0,) * 13,
    "ja": (0,) * 13,
    "ko": (0,) * 13,
    "de": (1, 0, *(1,) * 11),
    "es": (1, 0, *(1,) * 11),
    "fr": (0, 0, *(1,) * 11),
    "pt": (0, 0, *(1,) * 11),
    "ar": (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 3, 4, 5),
}
LATIN = ("de", "fr", "es", "pt")

# Names, units and words that are the same in other languages.
SAME = (
    "Wi-Fi|WLAN|WPA2|WPA3|WEP|VPN|http|QR|PIN|DHCP|DNS|NTP|JSON|UTC|Internet|Normal|Status|Name|Version|Signal|Hotspot"
    "|S O S|GHz|meteor-appliance|buffer|retry|reset|rejected|mct_|LAN|[kMGTm]?B|ms|min|Station|Computer"
    "|TLS|HTTP|USB|TPM"
)
KEPT = rf"(?<![A-Za-z])({SAME})(?![A-Za-z])"
ENGLISH = re.compile(r"\b(the|and|your|you|is|of|to|with|this|that|network|password|claim|clock)\b", re.I)
MARK = re.compile(r"%\(\w+\)s|%%")


def pairs(tag: str) -> Iterator[tuple[str, str]]:
    """Each English text with each of its translations."""
    for message in load(FILES[tag]):
        if message.id:
            english = message.id if isinstance(message.id, str) else message.id[-1]
            for text in _strings(message):
                yield english, text


def _strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def test_there_is_a_catalogue_for_each_of_nine_languages() -> None:
    assert set(FILES) == set(PLURALS)


@every_language
def test_every_message_is_translated_and_none_is_left_over(tag: str) -> None:
    translated, wanted = load(FILES[tag]), template()
    ids = {message.id for message in wanted if message.id}
    assert {message.id for message in translated if message.id} == ids
    assert not translated.obsolete
    unfinished = [m.id for m in translated if m.id and (m.fuzzy or not all(_strings(m)))]
    assert unfinished == []


@every_language
def test_placeholders_stay(tag: str) -> None:
    """Only a form for one certain number may say it without the number: Arabic has a word for two things."""
    wrong = []
    for message in load(FILES[tag]):
        english = message.id if isinstance(message.id, str) else message.id[-1] if message.id else ""
        for form, text in enumerate(_strings(message)):
            said = tag == "ar" and not isinstance(message.id, str) and form < 3
            marks = sorted(mark for mark in MARK.findall(english) if not (said and mark == "%(count)s"))
            if message.id and sorted(MARK.findall(text)) != marks:
                wrong.append(text)
    assert wrong == []


@every_language
def test_plurals_have_the_forms_and_the_rule_of_the_language(tag: str) -> None:
    rule = catalogue.read(FILES[tag])
    forms = max(PLURALS[tag]) + 1
    assert load(FILES[tag]).num_plurals == forms
    assert all(len(_strings(m)) == forms for m in load(FILES[tag]) if isinstance(m.id, tuple))
    shown = catalogue.Catalogue({"one": [str(form) for form in range(forms)]}, rule._plural)
    assert tuple(int(shown.ngettext("one", "many", number)) for number in NUMBERS) == PLURALS[tag]


@every_language
def test_no_english_is_left(tag: str) -> None:
    wrong = []
    for english, text in pairs(tag):
        rest = re.sub(rf"`[^`]*`|{MARK.pattern}|{KEPT}", " ", text)
        words = ENGLISH.findall(rest) if tag in LATIN else re.findall(r"[A-Za-z]{2,}", rest)
        same = text == english and re.search(r"[a-z]{3}", re.sub(rf"{MARK.pattern}|{KEPT}", "", text))
        if words or same:
            wrong.append(text)
    assert [text for text in wrong if text not in _ALIKE.get(tag, ())] == []


_ALIKE = {
    "fr": ("Source", "Station", "%(count)s messages", "%(number)s\u00a0To"),
    "es": ("No", "Normal", "Cable"),
    "pt": ("Normal",),
}
"""Words that this language shares with English."""


@every_language
def test_sentences_end_as_the_english_ones_do(tag: str) -> None:
    ends = {".": (".", "。"), "?": ("?", "？", "؟"), "…": ("…",), ":": (":", "：")}
    wrong = [
        text
        for english, text in pairs(tag)
        for end, alike in ends.items()
        if english.endswith(end) and not text.rstrip().endswith(alike)
    ]
    assert wrong == []
    assert all(text == text.strip() and "  " not in text for _, text in pairs(tag))


@every_language
def test_commands_and_codes_are_not_translated(tag: str) -> None:
    kept = re.compile(r"`[^`]+`|mct_|WPA[23]|WEP|DHCP|DNS|UTC")
    for english, text in pairs(tag):
        assert set(kept.findall(text)) == set(kept.findall(english)), text


@every_language
def test_a_catalogue_says_which_words_it_uses(tag: str) -> None:
    comment = load(FILES[tag]).header_comment
    assert "Glossary" in comment
    assert comment.count(" = ") >= 10


@every_language
def test_a_catalogue_is_committed_as_make_messages_writes_it(tag: str, tmp_path: Path) -> None:
    updated = load(FILES[tag])
    updated.update(template(), update_creation_date=False)
    again = tmp_path / tag / "LC_MESSAGES" / "portal.po"
    again.parent.mkdir(parents=True)
    save(updated, again)
    assert again.read_text("utf-8") == FILES[tag].read_text("utf-8")


@every_language
def test_our_reader_reads_what_babel_reads(tag: str) -> None:
    ours = catalogue.read(FILES[tag])
    for message in load(FILES[tag]):
        if isinstance(message.id, str):
            assert not message.id or (ours.gettext(message.id),) == _strings(message)
        else:
            one, many = message.id
            assert {ours.ngettext(one, many, number) for number in NUMBERS} == set(_strings(message))


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)


@settings(max_examples=200, deadline=None)
@given(one=texts, many=texts, said=st.tuples(texts, texts), plain=texts, comment=texts)
def test_whatever_a_translator_types_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    one: str,
    many: str,
    said: tuple[str, str],
    plain: str,
    comment: str,
) -> None:
    written = Catalog(locale="de", fuzzy=False)
    written.add((one, many), said)
    written.add(f"plain {one}", plain, user_comments=[comment.replace("\n", " ")])
    written.add("not finished", plain, flags=["fuzzy"])
    path = tmp_path_factory.mktemp("po") / "portal.po"
    save(written, path)
    read = catalogue.read(path)
    assert read.ngettext(one, many, 1) == said[0]
    assert read.ngettext(one, many, 2) == said[1]
    assert read.gettext(f"plain {one}") == plain
    assert read.gettext("not finished") == "not finished"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Connect"),
        ('msgid "Connect"\nmsgstr "Verbinden"\n', "Verbinden"),
        ('msgid "Connect"\nmsgstr "Verbinden"', "Verbinden"),
        ('msgid ""\n"Conn"\n"ect"\nmsgstr ""\n"Ver"\n"binden"\n', "Verbinden"),
        ('#, python-format, fuzzy\nmsgid "Connect"\nmsgstr "Verbinden"\n', "Connect"),
        ('msgid "Connect"\nmsgstr ""\n', "Connect"),
        ('#~ msgid "Connect"\n#~ msgstr "Verbinden"\n', "Connect"),
        ('msgid "A"\nmsgstr "B"\nmsgid "Connect"\nmsgstr "C \\"D\\"\\n"\n', 'C "D"\n'),
        ('#| msgid "Join"\nmsgid "Connect"\nmsgstr "Verbinden"\n', "Verbinden"),
        ('\ufeffmsgid "Connect"\nmsgstr "Verbinden"\n', "Verbinden"),
    ],
)
def test_a_catalogue_is_read_as_translators_programs_write_it(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "portal.po"
    path.write_text(text, "utf-8")
    assert catalogue.read(path).gettext("Connect") == said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Connect\n", "line 1"),
        ('msgid "Connect"\nmsgstr "Verb\n', "line 2"),
        ('msgid "A"\nmsgstr "B"\n\nmsgctxt "C"\nmsgid "Connect"\n', "line 4"),
        ('msgid "Connect"\nmsgstr[x] "Verbinden"\n', "line 2"),
        ('msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=import os;\\n"\n', "plural"),
    ],
)
def test_a_damaged_catalogue_is_refused_with_its_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "portal.po"
    path.write_text(text, "utf-8")
    with pytest.raises(CatalogueDamaged, match=rf"portal\.po: .*{line}"):
        catalogue.read(path)


def test_a_catalogue_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "portal.po"
    path.write_bytes(b'msgid "Connect"\nmsgstr "\xff"\n')
    with pytest.raises(CatalogueDamaged):
        catalogue.read(path)
