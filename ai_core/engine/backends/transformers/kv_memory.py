"""Keys and values of every sequence: a prefix shared with others, then a tail of its own.

What is shared never changes, so sequences hold it by reference and nobody computes or stores it twice. A tail grows in
place, in buffers with room to spare, so that a step copies one position and not the whole past.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch

ROOM = 64
"""Positions that a tail's buffers grow by, at least."""


@dataclass(slots=True)
class Layer:
    """Keys and values of one layer, each (key/value heads, positions, width)."""

    keys: torch.Tensor
    values: torch.Tensor

    def part(self, start: int, stop: int) -> Layer:
        return Layer(self.keys[:, start:stop], self.values[:, start:stop])

    def joined(self, other: Layer) -> Layer:
        return Layer(torch.cat([self.keys, other.keys], 1), torch.cat([self.values, other.values], 1))

    def copied(self, start: int, stop: int) -> Layer:
        return Layer(self.keys[:, start:stop].clone(), self.values[:, start:stop].clone())


class Block:
    """Computed positions that do not change any more, all layers."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers


@dataclass(frozen=True, slots=True)
class Span:
    """The first `length` positions of `block`, at `start` in a sequence."""

    block: Block
    start: int
    length: int

    @property
    def key(self) -> tuple[int, int]:
        return id(self.block), self.length


class SequenceMemory:
    """The positions of one sequence: `spans` from 0 to `shared`, then `written` ones of the tail."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.written = 0
        self._tail: dict[int, Layer] = {}

    @property
    def shared(self) -> int:
        return sum(span.length for span in self.spans)

    @property
    def length(self) -> int:
        return self.shared + self.written

    @property
    def beginning(self) -> list[tuple[int, int]]:
        """Sequences that share a beginning are neighbours when sorted by this."""
        return [span.key for span in self.spans]

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> Layer:
        """Put new positions behind the tail of `layer`; the tail with them. They stay once `commit` counts them."""
        end = self.written + keys.shape[1]
        tail = self._with_room(layer, keys, values, end)
        tail.keys[:, self.written : end] = keys
        tail.values[:, self.written : end] = values
        return tail.part(0, end)

    def commit(self, positions: int) -> None:
        self.written += positions

    def cut(self, length: int) -> None:
        """Forget the tail's positions from `length` on."""
        self.written = length - self.shared

    def share(self, length: int) -> list[Span]:
        """The first `length` positions, for another sequence to hold too."""
        if length > self.shared:
            self._freeze(length - self.shared)
        return [
            Span(span.block, span.start, min(span.length, length - span.start))
            for span in self.spans
            if span.start < length
        ]

    def layers(self, layer: int) -> list[Layer]:
        """All of `layer`, in order."""
        parts = [span.block.layers[layer].part(0, span.length) for span in self.spans]
        return [*parts, self._tail[layer].part(0, self.written)] if self.written else parts

    def thaw(self, holders: Mapping[Block, int]) -> None:
        """Take spans that nobody else holds any more into the tail: every part costs a look at each step."""
        while self.spans and holders[self.spans[-1].block] == 1:
            span = self.spans.pop()
            parts = [layer.part(0, span.length) for layer in span.block.layers]
            if self.written:
                parts = [part.joined(self._tail[layer].part(0, self.written)) for layer, part in enumerate(parts)]
            self._tail = dict(enumerate(parts))
            self.written += span.length

    def _freeze(self, positions: int) -> None:
        """Turn the first `positions` of the tail into a block."""
        layers = [self._tail[layer] for layer in sorted(self._tail)]
        self.spans.append(Span(Block([tail.copied(0, positions) for tail in layers]), self.shared, positions))
        self._tail = {layer: tail.copied(positions, self.written) for layer, tail in self._tail.items()}
        self.written -= positions

    def _with_room(self, layer: int, keys: torch.Tensor, values: torch.Tensor, end: int) -> Layer:
        """The tail of `layer`, in buffers of `end` positions or more: half as many again each time they are full."""
        tail = self._tail.get(layer)
        if tail is None or tail.keys.shape[1] < end:
            room = max(end + ROOM, self.written * 3 // 2)
            grown = Layer(_empty(keys, room), _empty(values, room))
            if tail is not None:
                grown.keys[:, : self.written] = tail.keys[:, : self.written]
                grown.values[:, : self.written] = tail.values[:, : self.written]
            tail = self._tail[layer] = grown
        return tail


class KvMemory:
    """The sequences 0 .. count-1."""

    def __init__(self, count: int) -> None:
        self._sequences = [SequenceMemory() for _ in range(count)]

    def __getitem__(self, sequence: int) -> SequenceMemory:
        return self._sequences[sequence]

    def __iter__(self) -> Iterator[SequenceMemory]:
        return iter(self._sequences)

    @property
    def cells(self) -> int:
        """Positions held, each shared one counted once."""
        return sum(sequence.written for sequence in self) + sum(_longest(self).values())

    def copy(self, source: int, target: int, length: int) -> None:
        spans = self._sequences[source].share(length)
        self._sequences[target] = SequenceMemory()
        self._sequences[target].spans = spans

    def settle(self, sequences: Iterable[int]) -> None:
        """Before a step of `sequences`: let each have as few parts as it can."""
        holders = Counter(span.block for sequence in self for span in sequence.spans)
        for sequence in sequences:
            self._sequences[sequence].thaw(holders)

    def drop(self, sequence: int) -> None:
        self._sequences[sequence] = SequenceMemory()

    def clear(self) -> None:
        for sequence in range(len(self._sequences)):
            self.drop(sequence)


def _longest(sequences: Iterable[SequenceMemory]) -> dict[Block, int]:
    """Positions in use of each block."""
    longest: dict[Block, int] = {}
    for sequence in sequences:
        for span in sequence.spans:
            longest[span.block] = max(span.length, longest.get(span.block, 0))
    return longest


def _empty(like: torch.Tensor, positions: int) -> torch.Tensor:
    return like.new_empty((like.shape[0], positions, like.shape[2]))
