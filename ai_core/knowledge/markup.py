"""The HTML of Légifrance's texts and the titles of its sections -> plain text."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

_BREAK = re.compile(r"<(?:br|/?p|/?div|/?li|/?tr|/?table|/?center|/?blockquote)\b[^>]*>", re.IGNORECASE)
_CELL_BREAK = re.compile(r"<(t[dh])\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_RANK = re.compile(
    r"^(?:(?:sous-)?(?:partie|livre|titre|chapitre|section|paragraphe)|\w+ partie)\b[^:]*:\s*", re.IGNORECASE
)

# Titles that only say where one is: the title above them names the subject.
GENERIC_TITLES = frozenset(
    (
        "ordre public",
        "champ de la négociation collective",
        "dispositions supplétives",
        "dispositions générales",
        "dispositions communes",
        "dispositions particulières",
        "dispositions diverses",
        "dispositions finales",
        "dispositions d'application",
        "dispositions pénales",
        "principes",
        "principes généraux",
        "principe",
        "champ d'application",
        "définitions",
        "définition",
        "annexe",
        "annexes",
        "chapitre unique",
        "section unique",
    )
)


def plain_text(markup: str) -> str:
    """Paragraphs and table rows on lines of their own, without markup or doubled spaces."""
    text = _CELL_BREAK.sub(lambda cell: f"{_BREAK.sub(' ', cell[2])} | ", markup)
    text = html.unescape(_TAG.sub("", _BREAK.sub("\n", text)))
    lines = (" ".join(line.split()).removesuffix(" |") for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def clean_title(title: str) -> str:
    """ "Section 4 : Période d'essai." -> "Période d'essai" """
    flat = " ".join(title.split())
    return _RANK.sub("", flat).rstrip(" .") or flat


def meaningful_title(path: Sequence[str]) -> str:
    """The last title of a section path that says what the article is about, cleaned; "" for an empty path."""
    titles = [clean_title(title) for title in path]
    telling = [title for title in titles if title.lower() not in GENERIC_TITLES]
    return (telling or titles or [""])[-1]
