"""The Code du travail as training material: articles, and the units of text that an answer may quote.

Source: the npm package @socialgouv/legi-data (official texts, Licence Ouverte), its .tgz or its JSON file.
"""

from __future__ import annotations

import html
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_core.quotations import quotable_units

CODE_FILE = "LEGITEXT000006072050.json"
IN_FORCE = {"VIGUEUR", "VIGUEUR_DIFF", "ABROGE_DIFF"}

GENERIC_TITLES = (
    "ordre public",
    "champ de la négociation collective",
    "dispositions supplétives",
    "dispositions générales",
    "dispositions communes",
    "dispositions particulières",
    "dispositions diverses",
    "principes",
    "principes généraux",
    "champ d'application",
    "définitions",
    "chapitre unique",
    "section unique",
)

_BREAK = re.compile(r"<(?:br|/?p|/?div|/?li|/?tr|/?table|/?blockquote)\b[^>]*>", re.IGNORECASE)
_CELL = re.compile(r"</t[dh]>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")
_HEADING = re.compile(r"^(?:sous-)?(?:partie|livre|titre|chapitre|section|paragraphe)\b[^:]*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LawArticle:
    number: str
    title: str
    path: tuple[str, ...]
    text: str
    units: tuple[str, ...] = field(default=())
    """What an answer may quote: a sentence, or a sentence with its list; each one a substring of `text`."""


def read(source: Path) -> list[LawArticle]:
    """Every article in force. Raises OSError or ValueError when `source` is no legi-data package or JSON."""
    articles = []
    for data, path in _walk(_load(source), ()):
        text = plain_text(data.get("texteHtml") or data.get("texte") or "")
        number = re.sub(r"[\s.]", "", data.get("num") or "")
        if text and number and data.get("etat") in IN_FORCE:
            articles.append(LawArticle(number, meaningful_title(path), path, text, tuple(quotable_units(text))))
    return articles


def _load(source: Path) -> Any:
    if source.suffix == ".json":
        return json.loads(source.read_text(encoding="utf-8"))
    with tarfile.open(source) as package:
        for member in package:
            stream = package.extractfile(member) if member.name.endswith(CODE_FILE) else None
            if stream is not None:
                return json.load(stream)
    raise ValueError(f"{source} holds no {CODE_FILE}")


def _walk(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    if node["type"] == "article":
        yield node["data"], path
        return
    title = clean_title(node["data"].get("title") or "")
    for child in node.get("children", []):
        yield from _walk(child, (*path, title) if title else path)


def clean_title(title: str) -> str:
    """ "Section 4 : Période d'essai." -> "Période d'essai" """
    return _HEADING.sub("", " ".join(title.split())).rstrip(" .")


def meaningful_title(path: tuple[str, ...]) -> str:
    """The last section title that says what the article is about."""
    titles = [title for title in path if title.lower() not in GENERIC_TITLES]
    return titles[-1] if titles else ""


def plain_text(markup: str) -> str:
    """Paragraphs separated by a newline, without markup or doubled spaces."""
    text = html.unescape(_TAG.sub("", _CELL.sub(" ", _BREAK.sub("\n", markup))))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
