"""A grammar as states between bytes: what may come, where that leads, and which rules are read on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ai_core.engine.grammar.expression import (
    ROOT,
    Characters,
    Expression,
    Grammar,
    GrammarError,
    InOrder,
    Literal,
    OneOf,
    Repeated,
    Rule,
)
from ai_core.engine.grammar.utf8 import byte_ranges

T = TypeVar("T")

MOST_STATES = 50_000
"""Some megabytes, and a tenth of a second to make."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is possible in a state: bytes from low to high lead to target; reading a rule leads to what follows it; or
    the rule that the state belongs to is complete."""

    edges: tuple[tuple[int, int, int], ...]
    calls: tuple[tuple[int, int], ...]
    complete: bool

    @property
    def only_complete(self) -> bool:
        return self.complete and not self.edges and not self.calls


class Automaton:
    """States are numbers; `starts` has the first one of each rule, the ROOT's at 0."""

    def __init__(self, grammar: Grammar) -> None:
        """Raises GrammarError where the grammar is too large."""
        self._states = 0
        self._edges: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        self._calls: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._empties: dict[int, list[int]] = defaultdict(list)
        self._places: dict[int, Place] = {}
        names = [ROOT, *(name for name in grammar if name != ROOT)]
        self._rules = {name: number for number, name in enumerate(names)}
        self.starts = [self._state() for _ in names]
        self._ends = {self._state() for _ in names}
        for start, end, name in zip(self.starts, sorted(self._ends), names, strict=True):
            self._add(grammar[name], start, end)

    def place(self, state: int) -> Place:
        place = self._places.get(state)
        if place is None:
            place = self._places[state] = self._closed(state)
        return place

    def _closed(self, state: int) -> Place:
        reached, waiting = {state}, [state]
        while waiting:
            for other in self._empties.get(waiting.pop(), ()):
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        edges = tuple(edge for each in reached for edge in self._edges.get(each, ()))
        calls = tuple(dict.fromkeys(call for each in reached for call in self._calls.get(each, ())))
        return Place(edges, calls, not reached.isdisjoint(self._ends))

    def _state(self) -> int:
        if self._states >= MOST_STATES:
            raise GrammarError("it is too large: fewer repetitions or shorter texts are needed")
        self._states += 1
        return self._states - 1

    def _add(self, expression: Expression, start: int, end: int) -> None:
        """Let `expression` lead from `start` to `end`."""
        match expression:
            case Literal(text):
                self._add_bytes(_utf8(text), start, end)
            case Characters(ranges):
                for low, high in ranges:
                    for places in byte_ranges(low, high):
                        self._chain(places, start, end, self._add_range)
            case Rule(name):
                self._calls[start].append((self._rules[name], end))
            case InOrder(items):
                self._chain(items, start, end, self._add)
            case OneOf(options):
                for option in options:
                    self._add(option, start, end)
            case Repeated():
                self._add_repeated(expression, start, end)

    def _add_bytes(self, text: bytes, start: int, end: int) -> None:
        self._chain([(byte, byte) for byte in text], start, end, self._add_range)

    def _add_range(self, byte: tuple[int, int], start: int, end: int) -> None:
        self._edges[start].append((*byte, end))

    def _chain(self, items: Sequence[T], start: int, end: int, add: Callable[[T, int, int], None]) -> None:
        """Let `items` lead from `start` to `end`, one after the other, each as `add` says."""
        here = start
        for item in items[:-1]:
            there = self._state()
            add(item, here, there)
            here = there
        if items:
            add(items[-1], here, end)
        else:
            self._empties[here].append(end)

    def _add_repeated(self, repeated: Repeated, start: int, end: int) -> None:
        here = start
        for _ in range(repeated.least):
            here = self._after(repeated.item, here)
        if repeated.most is None:
            loop = self._state()
            self._empties[here].append(loop)
            self._add(repeated.item, loop, loop)
            here = loop
        for _ in range((repeated.most or 0) - repeated.least):
            self._empties[here].append(end)
            here = self._after(repeated.item, here)
        self._empties[here].append(end)

    def _after(self, item: Expression, here: int) -> int:
        there = self._state()
        self._add(item, here, there)
        return there


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise GrammarError("half of a surrogate pair is no character") from error
