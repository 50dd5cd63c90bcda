"""What a grammar is made of, whatever notation it came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LAST_CHARACTER = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]


class GrammarError(ValueError):
    """The grammar cannot be used; the message says why, for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of inclusive ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rule of this name allows."""

    name: str


@dataclass(frozen=True, slots=True)
class InOrder:
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """`most` None: any number of times."""

    item: Expression
    least: int
    most: int | None


Expression = Literal | Characters | Rule | InOrder | OneOf | Repeated
Grammar = Mapping[str, Expression]
"""Expressions by the name of their rule. The text as a whole follows ROOT."""

ROOT = "root"
EMPTY = Literal("")


def optional(item: Expression) -> Repeated:
    return Repeated(item, 0, 1)


def in_order(*items: Expression) -> InOrder:
    return InOrder(items)


def characters(*members: str) -> Characters:
    """From single characters and ranges written as "a-z"."""
    return Characters(tuple((ord(member[0]), ord(member[-1])) for member in members))


def all_but(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Every character outside of `ranges`."""
    kept, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            kept.append((start, low - 1))
        start = max(start, high + 1)
    return (*kept, (start, LAST_CHARACTER)) if start <= LAST_CHARACTER else tuple(kept)
