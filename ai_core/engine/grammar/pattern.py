"""Regular expressions of JSON schemas (ECMA 262, but what needs memory) for the content of a JSON string."""

from __future__ import annotations

import re
from typing import NoReturn

from ai_core.engine.grammar.expression import (
    EMPTY,
    Characters,
    Expression,
    GrammarError,
    InOrder,
    Literal,
    OneOf,
    Ranges,
    Repeated,
    all_but,
    in_order,
)
from ai_core.engine.grammar.json_text import CHARACTER

MOST_NESTED = 50

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|([^xu0-9A-Za-z]|[dDwWsStnrfv]))")
_REPETITION = re.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}")
_TIMES: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_LETTERS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CLASSES: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x2028, 0x2029), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
}
_MUST_BE_ESCAPED = {0x22: '\\"', 0x5C: "\\\\", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r"}
_CANNOT_BE_PLAIN: Ranges = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C))


def parse_pattern(text: str) -> Expression:
    """What the string's content, as written in JSON, may be. As JSON schema wants it, a pattern without ^ and $ may
    stand anywhere in the string. Raises GrammarError."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._nested = 0

    def whole(self) -> Expression:
        options = [self._anchored()]
        while self._took("|"):
            options.append(self._anchored())
        return OneOf(tuple(options))

    def _anchored(self) -> Expression:
        anything = Repeated(CHARACTER, 0, None)
        before = EMPTY if self._took("^") else anything
        inside = self._sequence()
        after = EMPTY if self._took("$") else anything
        if self._next() == ")":
            self._fail("a parenthesis is closed that was not opened:")
        if self._next() not in ("", "|"):
            self._fail("^ and $ are supported at the two ends only, not before")
        return in_order(before, inside, after)

    def _sequence(self) -> Expression:
        items: list[Expression] = []
        while self._next() not in ("", "|", ")", "$"):
            items.append(self._repeated(self._item()))
        return InOrder(tuple(items))

    def _repeated(self, item: Expression) -> Expression:
        times = _TIMES.get(self._next())
        if times is not None:
            self._place += 1
        elif self._next() == "{":
            least, comma, most = self._match(_REPETITION).groups()
            times = (int(least), (int(most) if most else None) if comma else int(least))
            if times[1] is not None and times[1] < times[0]:
                self._fail("the most repetitions are fewer than the least before")
        else:
            return item
        self._took("?")  # as few as possible: the same texts
        if self._next() and self._next() in "*+?{":
            self._fail("a repetition is repeated by")
        return Repeated(item, *times)

    def _item(self) -> Expression:
        if self._took("("):
            return self._group()
        if self._took("["):
            return self._class()
        if self._took("."):
            return _in_string(all_but(_LINE_ENDS))
        if self._next() == "^":
            self._fail("^ and $ are supported at the two ends only, not as")
        if self._next() in "*+?{":
            self._fail("nothing goes before")
        return _in_string(self._character())

    def _group(self) -> Expression:
        self._nested += 1
        if self._nested > MOST_NESTED:
            self._fail("there are too many parentheses in each other at")
        if self._took("?") and not self._took(":"):
            self._fail("this kind of group is not supported:")
        options = [self._sequence()]
        while self._took("|"):
            options.append(self._sequence())
        if not self._took(")"):
            self._fail("a parenthesis is not closed, or $ is in one, at")
        self._nested -= 1
        return OneOf(tuple(options))

    def _class(self) -> Expression:
        negated = self._took("^")
        ranges: list[tuple[int, int]] = []
        while not self._took("]"):
            members = self._character()
            if self._next() == "-" and self._text[self._place + 1 : self._place + 2] not in ("", "]"):
                self._place += 1
                last = self._character()
                if not (len(members) == len(last) == 1 and members[0][0] == members[0][1] <= last[0][0] == last[0][1]):
                    self._fail("this range has no beginning or no end:")
                members = ((members[0][0], last[0][1]),)
            ranges += members
        return _in_string(all_but(ranges) if negated else tuple(ranges))

    def _character(self) -> Ranges:
        """One character, or a class like \\d."""
        if self._next() == "":
            self._fail("something is not closed")
        if self._next() != "\\":
            self._place += 1
            code = ord(self._text[self._place - 1])
            return ((code, code),)
        *numbers, letter = self._match(_ESCAPE).groups()
        if letter and letter.lower() in _CLASSES:
            ranges = _CLASSES[letter.lower()]
            return ranges if letter.islower() else all_but(ranges)
        code = _LETTERS.get(letter, ord(letter)) if letter else int(next(filter(None, numbers)), 16)
        return ((code, code),)

    def _next(self) -> str:
        return self._text[self._place : self._place + 1]

    def _took(self, mark: str) -> bool:
        found = self._text.startswith(mark, self._place)
        self._place += len(mark) * found
        return found

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._place)
        if found is None:
            self._fail("this is not supported:")
        self._place = found.end()
        return found

    def _fail(self, reason: str) -> NoReturn:
        raise GrammarError(f"in the pattern {self._text!r}: {reason} {self._text[self._place : self._place + 10]!r}")


def _in_string(ranges: Ranges) -> Expression:
    """A character out of `ranges` as JSON strings have it."""
    taken = [(low, high) for low, high in ranges if low <= high]
    inverse = all_but(taken)
    escaped = [
        Literal(written)
        for code, written in _MUST_BE_ESCAPED.items()
        if any(low <= code <= high for low, high in taken)
    ]
    plain = Characters(all_but([*inverse, *_CANNOT_BE_PLAIN]))
    if not plain.ranges and not escaped:
        raise GrammarError("a pattern has a class without any character that JSON strings can have")
    return OneOf((plain, *escaped)) if escaped else plain
