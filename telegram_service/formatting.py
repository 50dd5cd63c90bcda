"""Markdown becomes what Telegram shows: text with entities, in parts that fit into a message, cut where one pauses.

Offsets and lengths count UTF-16 units (https://core.telegram.org/bots/api#messageentity).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

LONGEST = 4096  # UTF-16 units of a message
MOST_ENTITIES = 100  # Telegram forgets those after them
LINKS = ("https://", "http://", "mailto:")
LESS_THAN = "\ue000"  # stands for "<" while Markdown is read, or a <placeholder> would be taken for HTML and dropped
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028-\u202e\ufeff\ud800-\udfff]")
_QUOTES = ("blockquote", "expandable_blockquote")
_CODE = ("code", "pre")
_SHOWN = frozenset({"bold", "italic", "underline", "strikethrough", "text_link", *_QUOTES, *_CODE})
_PAUSES = ("\n\n", "\n", ". ", " ; ", ", ", " ")


@dataclass(frozen=True, slots=True)
class Entity:
    """How `length` units from `offset` on look. `more` are the fields of its kind: url, language."""

    kind: str
    offset: int
    length: int
    more: tuple[tuple[str, str], ...] = ()

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Part:
    """One message: what it says, and the Bot API's entities."""

    text: str
    entities: tuple[Mapping[str, Any], ...] = ()


def plain(part: Part) -> Part:
    """The same words without any entity; where links lead is written out."""
    text = part.text.encode("utf-16-le")
    links = [entity for entity in part.entities if entity["type"] == "text_link"]
    for link in sorted(links, key=lambda entity: -entity["offset"]):
        end = 2 * (link["offset"] + link["length"])
        text = text[:end] + f" ({link['url']})".encode("utf-16-le") + text[end:]
    told = text.decode("utf-16-le")
    return Part(told if units(told) <= LONGEST else part.text)


def units(text: str) -> int:
    """The length of a text as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def clean(text: str) -> str:
    """Without characters that Telegram removes, which would move every entity after them."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def parts(
    markdown: str,
    *,
    sources: Sequence[Mapping[str, Any]] = (),
    unknown: Collection[str] = (),
    heading: str = "",
    notices: Sequence[str] = (),
) -> list[Part]:
    """The messages that an answer takes: at least one, unless it says nothing.

    `sources` (number, label or title, url) are linked where the answer names them and listed below it under `heading`;
    article numbers in `unknown` are struck through; `notices` are sentences of ours that end it.
    """
    text, entities = _read(markdown)
    for source in sources:
        entities += _mentions(text, str(source["number"]), "text_link", (("url", str(source["url"])),))
    for number in unknown:
        entities += _mentions(text, number, "strikethrough", ())
    text, entities = _with_sources(text, entities, sources, heading)
    for notice in notices:
        text = f"{_above(text)}{clean(notice).strip()}"
    return _split(text, _tidy(entities))


def _read(markdown: str) -> tuple[str, list[Entity]]:
    from telegramify_markdown import convert

    text, found = convert(clean(markdown).replace("<", LESS_THAN), latex_escape=False, config=_config())
    text = text.replace(LESS_THAN, "<")
    entities = []
    for entity in found:
        more = {"text_link": "url", "pre": "language"}.get(entity.type)
        value = getattr(entity, more) if more else None
        is_shown = entity.type in _SHOWN and (more != "url" or str(value).lower().startswith(LINKS))
        if is_shown:
            fields = ((more, str(value).replace(LESS_THAN, "")),) if more and value else ()
            entities.append(Entity(entity.type, entity.offset, entity.length, fields))
    return (text.rstrip(), entities) if text.strip() else ("", [])


@cache
def _config() -> Any:
    from telegramify_markdown import RenderConfig

    config = RenderConfig.isolated()
    symbol = config.markdown_symbol
    symbol.heading_level_1 = symbol.heading_level_2 = symbol.heading_level_3 = symbol.heading_level_4 = ""
    symbol.image = ""
    symbol.unordered_list_item = "•"
    symbol.horizontal_rule = "———"
    return config


def _mentions(text: str, number: str, kind: str, more: tuple[tuple[str, str], ...]) -> list[Entity]:
    """An entity for each place that names article `number`, however it is spelt: L1234-1, L. 1234-1, L.1234‑1."""
    found = re.fullmatch(r"([A-Z]?)(\*?)\.?\s*(\d[\d-]*)", number)
    if found is None:
        return []
    letter = rf"{found[1]}\*?\.?\s?" if found[1] else ""
    digits = found[3].replace("-", r"\s?[-‐‑–]\s?")
    pattern = re.compile(rf"(?<![\w.-]){letter}{digits}(?![\w]|[-‐‑–.]\d)")
    return [Entity(kind, units(text[: at.start()]), units(at[0]), more) for at in pattern.finditer(text)]


def _with_sources(
    text: str, entities: list[Entity], sources: Sequence[Mapping[str, Any]], heading: str
) -> tuple[str, list[Entity]]:
    if not sources:
        return text, entities
    text = _above(text)
    entities.append(Entity("bold", units(text), units(heading)))
    text += heading
    for source in sources:
        text += "\n• "
        label = clean(str(source.get("label") or source["title"])).strip() or str(source["number"])
        entities.append(Entity("text_link", units(text), units(label), (("url", str(source["url"])),)))
        text += label
    return text, entities


def _above(text: str) -> str:
    return f"{text}\n\n" if text else ""


def _tidy(entities: list[Entity]) -> list[Entity]:
    """Only what Telegram shows together: nothing within code, no link in a link, no quote in a quote, nothing that
    crosses."""
    kept: list[Entity] = []
    for entity in sorted((e for e in entities if e.length > 0), key=_importance):
        pieces = [entity]
        for other in kept:
            pieces = [piece for whole in pieces for piece in _beside(whole, other)]
        kept += pieces
    return sorted(kept, key=lambda entity: (entity.offset, -entity.length))


def _importance(entity: Entity) -> tuple[int, int, int]:
    order = ["pre", "text_link", "code", *_QUOTES]
    rank = order.index(entity.kind) if entity.kind in order else len(order)
    return rank, -entity.length, entity.offset


def _beside(entity: Entity, other: Entity) -> list[Entity]:
    """What is left of `entity` next to `other`, which stays."""
    if entity.end <= other.offset or other.end <= entity.offset:
        return [entity]
    before = replace(entity, length=max(0, other.offset - entity.offset))
    behind = replace(entity, offset=max(other.end, entity.offset), length=max(0, entity.end - other.end))
    within = _cut(entity, other.offset, other.end)
    outside = [piece for piece in (before, behind) if piece.length]
    is_nested = (other.offset <= entity.offset and entity.end <= other.end) or not outside
    if _together(entity.kind, other.kind):
        contains = entity.offset <= other.offset and other.end <= entity.end
        return [entity] if is_nested or contains else [*outside, within]
    return [] if entity.kind in _QUOTES or entity.kind in ("text_link", "code") else outside


def _cut(entity: Entity, start: int, end: int) -> Entity:
    offset = max(entity.offset, start)
    return replace(entity, offset=offset, length=max(0, min(entity.end, end) - offset))


def _together(one: str, other: str) -> bool:
    if one in _QUOTES or other in _QUOTES:
        return not (one in _QUOTES and other in _QUOTES)
    if one in _CODE or other in _CODE:
        return False
    return not (one == other == "text_link")


def _split(text: str, entities: Sequence[Entity]) -> list[Part]:
    found: list[Part] = []
    total = units(text)
    while text := text.lstrip():  # Telegram trims, and the entities would be elsewhere
        there = _from(entities, total - units(text))
        end = _end_of_part(text, there)
        if not _is_blank(text[:end]):
            found.append(_part(text[:end].rstrip(), there))
        text = text[end:]
    return found


def _from(entities: Sequence[Entity], start: int) -> list[Entity]:
    """What of them lies behind `start`, counted from there."""
    cuts = (_cut(entity, start, entity.end) for entity in entities)
    return [replace(cut, offset=cut.offset - start) for cut in cuts if cut.length]


def _is_blank(text: str) -> bool:
    """Whether Telegram would find no text in it: spaces and characters without width are none."""
    return all(character.isspace() or unicodedata.category(character) == "Cf" for character in text)


def _part(text: str, entities: Sequence[Entity]) -> Part:
    end = units(text)
    shown = [cut for entity in entities if (cut := _cut(entity, 0, end)).length]
    return Part(text, tuple({"type": e.kind, "offset": e.offset, "length": e.length, **dict(e.more)} for e in shown))


def _end_of_part(text: str, entities: Sequence[Entity]) -> int:
    """Where the first part of `text` ends: at its own end, or at the last pause that one message has room for."""
    room = min(LONGEST, entities[MOST_ENTITIES].offset if len(entities) > MOST_ENTITIES else LONGEST)
    if units(text) <= room:
        return len(text)
    head = text.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore")
    for pause in _PAUSES:
        at = head.rfind(pause)
        # A short message before a long one reads worse than a pause within a paragraph.
        if at > len(head) // 2 and not _is_within(entities, units(head[:at])):
            return at + len(pause)
    return len(head) or 1


def _is_within(entities: Sequence[Entity], offset: int) -> bool:
    """Whether a cut there would break a link or a line of code."""
    return any(e.kind in ("text_link", "code") and e.offset < offset < e.end for e in entities)
