"""llama.cpp's notation for grammars: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md

Left recursion is allowed here, references to tokens (<[1000]>, <think>) are not.
"""

from __future__ import annotations

import re
from typing import NoReturn

from ai_core.engine.grammar.expression import (
    LAST_CHARACTER,
    ROOT,
    Characters,
    Expression,
    Grammar,
    GrammarError,
    InOrder,
    Literal,
    OneOf,
    Ranges,
    Repeated,
    Rule,
    all_but,
)

MOST_CHARACTERS = 64_000
MOST_NESTED = 50

_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_REPETITION = re.compile(r"\{[ \t]*(\d{1,6})[ \t]*(?:(,)[ \t]*(\d{1,6})?[ \t]*)?\}")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([tnr\\\"\[\]-]))")
_NAMED_ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}
_TIMES: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def parse_gbnf(text: str) -> Grammar:
    """Raises GrammarError."""
    if len(text) > MOST_CHARACTERS:
        raise GrammarError(f"longer than {MOST_CHARACTERS} characters")
    return _Parser(text).grammar()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._nested = 0
        self._used: dict[str, int] = {}

    def grammar(self) -> Grammar:
        rules: dict[str, Expression] = {}
        self._skip(_SPACE_AND_LINES)
        while self._place < len(self._text):
            name = self._name()
            if name in rules:
                self._fail(f"rule {name} is defined twice")
            self._skip(_SPACE)
            self._take("::=")
            self._skip(_SPACE_AND_LINES)
            rules[name] = self._alternatives()
            if self._next() not in ("", "\r", "\n"):
                self._fail("a new line or the end is missing")
            self._skip(_SPACE_AND_LINES)
        if ROOT not in rules:
            raise GrammarError(f"there is no rule named {ROOT}")
        for name in self._used.keys() - rules.keys():
            self._place = self._used[name]
            self._fail(f"there is no rule named {name}")
        return rules

    def _alternatives(self) -> Expression:
        options = [self._sequence()]
        while self._next() == "|":
            self._place += 1
            self._skip(_SPACE_AND_LINES)
            options.append(self._sequence())
        return OneOf(tuple(options)) if len(options) > 1 else options[0]

    def _sequence(self) -> Expression:
        items: list[Expression] = []
        while self._next() not in ("", "|", ")", "\r", "\n"):
            if self._next() in "*+?{":
                if not items:
                    self._fail("there is nothing to repeat")
                items.append(self._repeated(items.pop()))
            else:
                items.append(self._item())
            self._skip(_SPACE_AND_LINES if self._nested else _SPACE)
        return InOrder(tuple(items)) if len(items) != 1 else items[0]

    def _repeated(self, item: Expression) -> Expression:
        times = _TIMES.get(self._next())
        if times is not None:
            self._place += 1
            return Repeated(item, *times)
        least, comma, most = self._match(_REPETITION, "a number of repetitions").groups()
        if not comma:
            return Repeated(item, int(least), int(least))
        if most is not None and int(most) < int(least):
            self._fail("the most repetitions are fewer than the least")
        return Repeated(item, int(least), None if most is None else int(most))

    def _item(self) -> Expression:
        match self._next():
            case '"':
                return self._literal()
            case "[":
                return self._class()
            case "(":
                return self._group()
            case ".":
                self._place += 1
                return Characters(((0, LAST_CHARACTER),))
            case "<" | "!":
                self._fail("references to tokens are not supported")
        self._used.setdefault(name := self._name(), self._place)
        return Rule(name)

    def _group(self) -> Expression:
        self._nested += 1
        if self._nested > MOST_NESTED:
            self._fail(f"more than {MOST_NESTED} parentheses in each other")
        self._place += 1
        self._skip(_SPACE_AND_LINES)
        inner = self._alternatives()
        self._take(")")
        self._nested -= 1
        return inner

    def _literal(self) -> Expression:
        self._place += 1
        letters = []
        while self._next() != '"':
            letters.append(chr(self._character()))
        self._place += 1
        return Literal("".join(letters))

    def _class(self) -> Expression:
        self._place += 1
        negated = self._next() == "^"
        self._place += negated
        ranges: list[tuple[int, int]] = []
        while self._next() != "]":
            low = high = self._character()
            if self._text.startswith("-", self._place) and not self._text.startswith("-]", self._place):
                self._place += 1
                high = self._character()
            ranges.append((low, high))
        self._place += 1
        members: Ranges = all_but(ranges) if negated else tuple(ranges)
        if not any(low <= high for low, high in members):
            self._fail("no character is in this class")
        return Characters(members)

    def _character(self) -> int:
        if self._next() == "":
            self._fail("a quotation mark or bracket is never closed")
        if self._next() != "\\":
            self._place += 1
            return ord(self._text[self._place - 1])
        *numbers, letter = self._match(_ESCAPE, "a known escape").groups()
        if letter:
            return ord(_NAMED_ESCAPES.get(letter, letter))
        code = int(next(filter(None, numbers)), 16)
        if code > LAST_CHARACTER:
            self._fail("there is no such character")
        return code

    def _name(self) -> str:
        return self._match(_NAME, "the name of a rule").group()

    def _next(self) -> str:
        return self._text[self._place : self._place + 1]

    def _skip(self, space: re.Pattern[str]) -> None:
        self._place = self._match(space, "space").end()

    def _take(self, mark: str) -> None:
        self._match(re.compile(re.escape(mark)), mark)

    def _match(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        found = pattern.match(self._text, self._place)
        if found is None:
            self._fail(f"{wanted} is missing")
        self._place = found.end()
        return found

    def _fail(self, reason: str) -> NoReturn:
        line = self._text.count("\n", 0, self._place) + 1
        raise GrammarError(f"line {line}: {reason} before {self._text[self._place : self._place + 20]!r}")
