"""Follows a text through a grammar, byte by byte: what may come next, and whether it may end here.

An Earley recogniser. A rule that is read is a Reading, whoever called it: the callers of one place share it, so that an
ambiguous grammar costs what its states cost and not what its ways to read a text are. What repeats (the inside of a
string) comes back to the same Position, whose successors are then known.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from ai_core.engine.grammar.automaton import Automaton, Place
from ai_core.engine.grammar.expression import GrammarError

MOST_WORK = 3000
"""Items looked at for one byte, a millisecond or two. A text that needs more is refused as if it were not allowed."""
MOST_REMEMBERED = 4000
"""Positions kept for their successors."""

_END = -1


class Reading:
    """A rule that is being read: the states that its end leads to, each with the reading it belongs to."""

    __slots__ = ("returns",)

    def __init__(self, returns: Iterable[tuple[int, Reading | None]] = ()) -> None:
        self.returns = set(returns)


Item = tuple[int, "Reading | None"]
"""A state, in a reading of its rule; _END in none."""


class Position:
    """Where a text may be in the grammar. `after` keeps what was asked: the position after a byte, None where the
    grammar does not allow it."""

    __slots__ = ("after", "may_end", "ways")

    def __init__(self, ways: list[tuple[Place, Reading]], may_end: bool) -> None:
        self.ways = ways
        self.may_end = may_end
        self.after: dict[int, Position | None] = {}

    def first_bytes(self) -> list[bool]:
        """For each of the 256 bytes whether it may come next."""
        possible = [False] * 256
        for place, _ in self.ways:
            for low, high, _ in place.edges:
                possible[low : high + 1] = [True] * (high + 1 - low)
        return possible


class Matcher:
    """For one text. `position` is where it is; `work` counts items that were looked at so far."""

    def __init__(self, automaton: Automaton) -> None:
        """Raises GrammarError where no text at all is allowed."""
        self._automaton = automaton
        self._remembered: dict[frozenset[Item], Position | None] = {}
        self.work = 0
        start = self._reach({(automaton.starts[0], Reading([(_END, None)]))})
        if start is None:
            raise GrammarError("it allows no text, or can be read in too many ways")
        self.position = start

    def follow(self, piece: bytes) -> Position | None:
        """The position after `piece`; None where the grammar does not allow it."""
        position: Position | None = self.position
        for byte in piece:
            if position is None:
                return None
            position = position.after[byte] if byte in position.after else self._step(position, byte)
        return position

    def _step(self, position: Position, byte: int) -> Position | None:
        reached: set[Item] = {
            (target, reading)
            for place, reading in position.ways
            for low, high, target in place.edges
            if low <= byte <= high
        }
        position.after[byte] = found = self._reach(reached)
        return found

    def _reach(self, items: set[Item]) -> Position | None:
        """The position of whoever has read one of `items` to its end."""
        closure = _Closure(self._automaton)
        try:
            key = frozenset(closure.without_complete(items))
            if key not in self._remembered:
                if len(self._remembered) >= MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = closure.position(key) if key else None
            return self._remembered[key]
        except _TooMuchWork:
            return None
        finally:
            self.work += closure.work


class _TooMuchWork(Exception):
    pass


class _Closure:
    """Everything that is possible before the next byte, from some items."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._seen: set[Item] = set()
        self._waiting: list[Item] = []
        self._called: dict[int, Reading] = {}
        self._completed: set[Reading] = set()
        self.work = 0

    def without_complete(self, items: set[Item]) -> set[Item]:
        """Where a rule ends, and no more, goes on after it: so do equal positions look equal."""
        kept: set[Item] = set()
        self._push(items)
        while self._waiting:
            state, reading = self._waiting.pop()
            if reading is not None and self._automaton.place(state).only_complete:
                self._push(reading.returns)
            else:
                kept.add((state, reading))
        return kept

    def position(self, items: frozenset[Item]) -> Position | None:
        ways, may_end = [], False
        self._seen = set()
        self._push(items)
        while self._waiting:
            state, reading = self._waiting.pop()
            if reading is None:
                may_end = True
                continue
            place = self._automaton.place(state)
            if place.edges:
                ways.append((place, reading))
            if place.complete:
                self._completed.add(reading)
                self._push(reading.returns)
            for rule, back in place.calls:
                self._call(rule, self._returns(back, reading))
        return Position(ways, may_end) if ways or may_end else None

    def _push(self, items: AbstractSet[Item]) -> None:
        self._count(len(items))
        self._waiting += items - self._seen
        self._seen |= items

    def _count(self, items: int) -> None:
        self.work += items
        if self.work > MOST_WORK:
            raise _TooMuchWork

    def _returns(self, back: int, reading: Reading) -> set[Item]:
        """Where the end of a called rule leads. The last one in a rule leads where that one's does: lists that are
        written as rules calling themselves at their end need no more memory with each element. Not so for a rule that
        was called here: it may get more callers."""
        if self._automaton.place(back).only_complete and reading not in self._called.values():
            return reading.returns
        return {(back, reading)}

    def _call(self, rule: int, returns: set[Item]) -> None:
        self._count(len(returns))
        reading = self._called.get(rule)
        if reading is None:
            reading = self._called[rule] = Reading()
            self._push({(self._automaton.starts[rule], reading)})
        if reading in self._completed:  # it may be empty: whoever calls it may go on at once
            self._push(returns - reading.returns)
        reading.returns |= returns
