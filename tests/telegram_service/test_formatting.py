"""What Markdown becomes: Telegram takes every part of it, and no word is lost."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_service.formatting import Part, parts, plain, units
from tests.telegram_rules import checked_text

LEGIFRANCE = "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020517"
SOURCES = [{"number": "L3121-27", "title": "Durée légale", "label": "Article L3121-27", "url": LEGIFRANCE}]


def marked(part: Part, kind: str) -> list[str]:
    """The words that an entity of this kind covers."""
    raw = part.text.encode("utf-16-le")
    return [
        raw[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le")
        for e in part.entities
        if e["type"] == kind
    ]


def one(markdown: str) -> Part:
    [part] = parts(markdown)
    check(part)
    return part


def check(part: Part) -> None:
    text, entities = checked_text(part.text, [dict(entity) for entity in part.entities])
    assert text == part.text, "Telegram would trim it"
    assert len(entities) == len(part.entities)


def test_markdown_becomes_entities() -> None:
    part = one("# Durée\n\nLa durée est de **35 heures** 😀 par *semaine* :\n\n- une `ligne`\n- ~~barrée~~\n\n> cité")
    assert part.text == "Durée\n\nLa durée est de 35 heures 😀 par semaine :\n\n• une ligne\n• barrée\n\ncité"
    assert marked(part, "bold") == ["Durée", "35 heures"]
    assert marked(part, "italic") == ["semaine"]
    assert marked(part, "code") == ["ligne"]
    assert marked(part, "strikethrough") == ["barrée"]
    assert marked(part, "blockquote") == ["cité"]


def test_tables_and_code_keep_their_columns() -> None:
    assert marked(one("| a | b |\n|---|---|\n| 1 | 2 |"), "pre") == ["a | b\n--+--\n1 | 2"]
    [entity] = one("```python\nx = 1\n```").entities
    assert entity == {"type": "pre", "offset": 0, "length": 5, "language": "python"}


@pytest.mark.parametrize(
    "markdown",
    [
        "Madame <Nom>, <b>gras</b>, x < 3 et y > 5, <!-- rien -->",
        "**pas fini et `non plus",
        "prix : 5 $ ou 6$, $x$",
        "2 * 3 * 4 = 24 et a_b_c",
        "L. 1234-1* et *R. 12",
        "# <Nom>",
    ],
)
def test_no_word_is_lost(markdown: str) -> None:
    shown = one(markdown).text
    assert re.findall(r"\w+", shown) == re.findall(r"\w+", markdown)


def test_nothing_is_hidden_and_no_link_leads_elsewhere_than_to_the_web() -> None:
    part = one("||caché|| [clic](javascript:alert(1)) [x](L1234-1) [oui](https://travail-emploi.gouv.fr/a)")
    assert part.text == "caché clic x oui"
    assert [entity["type"] for entity in part.entities] == ["text_link"]


def test_code_in_bold_and_links_in_code_are_shown_as_telegram_can() -> None:
    assert marked(one("**gras `code` gras**"), "code") == ["code"]
    assert [word.strip() for word in marked(one("**gras `code` gras**"), "bold")] == ["gras", "gras"]
    assert marked(one(f"[`L. 3121-27`]({LEGIFRANCE})"), "text_link") == ["L. 3121-27"]


def test_nothing_to_say_is_no_message() -> None:
    assert parts("") == parts(" \n ") == parts("\x00") == parts("\u200b\u2060\u00a0") == []
    assert parts("\u00a0 **a**") == [Part("a", ({"type": "bold", "offset": 0, "length": 1},))]


def test_characters_that_telegram_removes_move_no_entity() -> None:
    part = one("a\r\nb\x00\u202e **gras**\ud83d")
    assert marked(part, "bold") == ["gras"]


def test_sources_are_linked_where_they_are_named_and_below() -> None:
    text = "Selon l'article L. 3121-27, L.3121‑27 ou L 3121-27 ; mais ni L. 3121-270 ni R. 3121-27 ni L. 3121-27-1."
    [part] = parts(text, sources=SOURCES, heading="Sources", notices=["Information générale."])
    check(part)
    assert marked(part, "text_link") == ["L. 3121-27", "L.3121‑27", "L 3121-27", "Article L3121-27"]
    assert part.text.endswith("\n\nSources\n• Article L3121-27\n\nInformation générale.")
    assert marked(part, "bold") == ["Sources"]
    assert {entity["url"] for entity in part.entities if entity["type"] == "text_link"} == {LEGIFRANCE}


def test_an_answer_that_begins_with_nothing_links_the_right_words() -> None:
    [part] = parts("```\n```\nVoir L. 3121-27", sources=SOURCES, heading="Sources")
    check(part)
    assert marked(part, "text_link") == ["L. 3121-27", "Article L3121-27"]
    assert parts("", notices=["Rien trouvé."]) == [Part("Rien trouvé.")]


def test_articles_that_do_not_exist_are_struck_through() -> None:
    [part] = parts("Voir **L. 9999-9** et L. 3121-27.", sources=SOURCES, unknown=["L9999-9"], heading="Sources")
    check(part)
    assert marked(part, "strikethrough") == ["L. 9999-9"]
    assert marked(part, "bold") == ["L. 9999-9", "Sources"]


def test_a_link_that_crosses_bold_keeps_both() -> None:
    [part] = parts("**Article L.** 3121-27", sources=SOURCES, heading="Sources")
    check(part)
    assert "".join(marked(part, "text_link")).startswith("L. 3121-27")


def test_long_answers_are_cut_at_pauses() -> None:
    paragraph = "Une phrase **importante** de l'article. " * 20
    answer = "\n\n".join([paragraph.strip()] * 12)
    found = parts(answer)
    assert len(found) == 3
    for part in found:
        check(part)
        assert part.text.endswith("article.")
    assert sum(len(marked(part, "bold")) for part in found) == 240
    assert " ".join(part.text for part in found).split() == answer.replace("*", "").split()


def test_a_text_without_pauses_is_cut_between_characters() -> None:
    found = parts("😀" * 5000)
    assert [units(part.text) for part in found] == [4096, 4096, 1808]


def test_exactly_one_message_is_not_cut() -> None:
    assert [len(part.text) for part in parts("x" * 4096)] == [4096]
    assert [len(part.text) for part in parts("x" * 4097)] == [4096, 1]


def test_more_entities_than_telegram_keeps_take_another_message() -> None:
    found = parts("\n".join(f"- **mot {number}**" for number in range(250)))
    for part in found:
        check(part)
    assert sum(len(marked(part, "bold")) for part in found) == 250


def test_code_over_two_messages_is_code_in_both() -> None:
    found = parts("```\n" + "\n".join(f"ligne {number}" for number in range(600)) + "\n```")
    assert len(found) == 2
    for part in found:
        check(part)
        assert marked(part, "pre") == [part.text]


def test_plain_text_tells_where_links_lead() -> None:
    assert plain(one("Voir [ici 😀](https://a.fr) et **là**")) == Part("Voir ici 😀 (https://a.fr) et là")


MARKDOWN = st.lists(
    st.sampled_from(["**", "*", "`", "```\n", "~~", "> ", "- ", "1. ", "# ", "\n", "\n\n", "[", "](https://a.fr)", "||",
                     "<b>", "|", "😀", "L. 3121-27", "L9999-9", " mot ", "é", "_", "\\", "$", "\r\n", "---\n"]),
    max_size=60,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(MARKDOWN)
def test_telegram_takes_whatever_a_model_writes(pieces: list[str]) -> None:
    for part in parts("".join(pieces) * 9, sources=SOURCES, unknown=["L9999-9"], heading="Sources"):
        check(part)
        json.dumps(part.entities)
        ours = [entity for entity in part.entities if entity.get("url") == LEGIFRANCE]
        for words in marked(Part(part.text, tuple(ours)), "text_link"):
            assert words in "L. 3121-27 Article L3121-27"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_telegram_takes_any_text(text: str) -> None:
    for part in parts(text * 20):
        check(part)
