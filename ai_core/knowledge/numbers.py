"""Article numbers, in every spelling in which people and texts write them.

The canonical form is Légifrance's: "L3121-27", "R*1233-3-4", "D6323-1 A". A number has one of the letters L, R, D or A
(a capital: "a 12-3" holds a verb) and at least one hyphen, unless the word "article" stands before it: "L 200 m" is a
length, not a law.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_SPACE = r"[ \t\u00a0\u202f\u2009]"
_DASH = r"[-\u2010\u2011\u2012\u2013\u2014\u2212]"
_HYPHEN = rf"{_SPACE}?{_DASH}{_SPACE}?"
_LETTER = rf"(?P<letter>[LRDAlrd]){_SPACE}?\.?{_SPACE}?(?P<star>\*)?{_SPACE}?"
# "L1453-1 A" has a letter of its own; "l'article L. 1234-1 A défaut" begins a sentence.
_SUFFIX = (
    rf"(?:(?P<glued>[A-Z])(?![\w'’])|{_SPACE}(?P<apart>[A-Z])(?={_SPACE}*(?:$|[,;:.?!)\]»\n]|(?:du|et|ou|à|de)\b)))?"
)

_NUMBER = re.compile(rf"(?<![\w*-]){_LETTER}(?P<digits>\d{{1,4}}(?:{_HYPHEN}\d{{1,3}}){{1,5}})(?!\d){_SUFFIX}")
_BARE = re.compile(
    rf"(?P<before>\bart(?:icles?|s?\.)?{_SPACE}*){_LETTER}(?P<digits>\d{{1,4}})(?![\d\w]|{_HYPHEN}\d){_SUFFIX}",
    re.IGNORECASE,
)
# The letter may be written once for several numbers: "articles L. 1234-1, 1234-2 et 1234-5", "R. 1234-1 à 1234-4".
_NEXT = re.compile(
    rf"{_SPACE}*(?:,|;|et|ou|à|a|au|,{_SPACE}*et){_SPACE}*(?P<digits>\d{{1,4}}(?:{_HYPHEN}\d{{1,3}}){{1,5}})(?!{_HYPHEN}?\d)(?!\w)"
)
_WHOLE = re.compile(
    rf"\s*(?:art(?:icles?|\.)?{_SPACE}*)?{_LETTER}(?P<digits>\d{{1,4}}(?:{_HYPHEN}\d{{1,3}}){{0,5}})", re.I
)
_WHOLE_SUFFIX = re.compile(r"\s?(?P<suffix>[A-Z])?[\s.?!,;:]*$")


@dataclass(frozen=True, slots=True)
class ArticleMention:
    """A number found in a text: `text[start:end]` is how it was written there."""

    number: str
    start: int
    end: int


def normalise(text: str) -> str | None:
    """The canonical form of one number ("art. L. 1234-1" -> "L1234-1"), None when `text` is anything else."""
    match = _WHOLE.match(text)
    if match is None:
        return None
    rest = _WHOLE_SUFFIX.match(text, match.end())
    if rest is None:
        return None
    return _canonical(match["letter"], match["star"], match["digits"], rest["suffix"])


def find_numbers(text: str) -> list[ArticleMention]:
    """Every number named in `text`, in order; of a range ("L1234-1 à L1234-5") both ends."""
    mentions: list[ArticleMention] = []
    for match in _NUMBER.finditer(text):
        mentions.append(_mention(match))
        mentions.extend(_following(text, match))
    taken = {mention.start for mention in mentions}
    for match in _BARE.finditer(text):
        mention = _mention(match)
        if mention.start not in taken:
            mentions.append(mention)
    return sorted(mentions, key=lambda mention: mention.start)


def fold_number(text: str) -> str:
    """A key for looking numbers and annexes up: no case, accents, spaces or dots ("Annexe I " -> "annexei")."""
    decomposed = unicodedata.normalize("NFKD", text).casefold().replace("’", "'")
    return re.sub(rf"[\s.]|{_DASH}(?=\s)", "", re.sub(_DASH, "-", re.sub(r"[\u0300-\u036f]", "", decomposed)))


def _mention(match: re.Match[str]) -> ArticleMention:
    number = _canonical(match["letter"], match["star"], match["digits"], match["glued"] or match["apart"])
    return ArticleMention(number, match.start("letter"), match.end())


def _following(text: str, first: re.Match[str]) -> list[ArticleMention]:
    found: list[ArticleMention] = []
    position = first.end()
    while match := _NEXT.match(text, position):
        number = _canonical(first["letter"], first["star"], match["digits"], None)
        found.append(ArticleMention(number, match.start("digits"), match.end()))
        position = match.end()
    return found


def _canonical(letter: str, star: str | None, digits: str, suffix: str | None) -> str:
    plain = re.sub(rf"{_SPACE}", "", re.sub(_DASH, "-", digits))
    return f"{letter.upper()}{star or ''}{plain}{f' {suffix.upper()}' if suffix else ''}"
