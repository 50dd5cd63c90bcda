"""Numbers written as words -> digits: the Code writes "cinquante salariés", the public "50 salariés"."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
_VALUES = {word: value for value, word in enumerate(_UNITS.split(), 2)} | {
    "vingt": 20,
    "vingts": 20,
    "trente": 30,
    "quarante": 40,
    "cinquante": 50,
    "soixante": 60,
    "cent": 100,
    "cents": 100,
}
_ONE = {"un": 1, "une": 1, "onze": 11}  # after "et"; "un" alone is an article


def in_digits(words: Sequence[str]) -> list[str]:
    """`words` (folded) with every number up to 9999 as one word of digits: "trente cinq heures" -> "35 heures"."""
    written: list[str] = []
    at = 0
    while at < len(words):
        number, end = _read(words, at)
        written.append(words[at] if end == at else str(number))
        at = max(end, at + 1)
    return written


def _read(words: Sequence[str], start: int) -> tuple[int, int]:
    """The number that begins at `start`, and where it ends: at `start` where there is none."""
    number, at = 0, start
    while at < len(words):
        word = words[at]
        if word == "mille" and number < 10 and at + 1 < len(words):
            number = max(number, 1) * 1000
        elif word == "et" and number % 10 == 0 < number and at + 1 < len(words) and words[at + 1] in _ONE:
            return number + _ONE[words[at + 1]], at + 2
        elif (value := _VALUES.get(word)) is not None and (longer := _add(number, value)) is not None:
            number = longer
        else:
            break
        at += 1
    return number, at


def _add(number: int, value: int) -> int | None:
    """`number` with the next word's `value`, None where that begins another number."""
    last = number % 100
    if value == 100 and number % 1000 < 10:
        return number // 1000 * 1000 + max(last, 1) * 100
    if value == 20 and last == 4:  # quatre-vingt
        return number + 76
    fits = last == 0 or (value < 10 <= last and last % 10 == 0) or (10 <= value < 17 and last in (60, 80))
    return number + value if fits and value < 100 else None
