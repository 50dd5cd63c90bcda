"""Prompt prefixes that requests share: computed once, held in pinned sequences, least recently used ones evicted.

Bookkeeping only, owned by the engine's thread; the engine copies and drops the memory itself. A prefix is pending while
the request that brought it computes it, then ready. A ready prefix's cells are counted here, once, whoever shares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Prefix:
    """`users` are the running requests whose sequences share its cells, or that compute it while it is not ready."""

    tokens: tuple[int, ...]
    sequence: int
    ready: bool = False
    users: int = 0


class PrefixCache:
    def __init__(self, sequences: Sequence[int]) -> None:
        self._free = list(sequences)
        self._prefixes: dict[tuple[int, ...], Prefix] = {}  # least recently used first
        self.cells = 0

    @property
    def idle_cells(self) -> int:
        """Cells that eviction could free now."""
        return sum(len(prefix.tokens) for prefix in self._prefixes.values() if prefix.ready and not prefix.users)

    def find(self, tokens: tuple[int, ...]) -> Prefix | None:
        return self._prefixes.get(tokens)

    def use(self, prefix: Prefix) -> None:
        prefix.users += 1
        self._prefixes[prefix.tokens] = self._prefixes.pop(prefix.tokens)

    def begin(self, tokens: tuple[int, ...]) -> Prefix | None:
        """A pending prefix with a sequence of its own, used by the caller; None while every sequence is taken.
        Call evict_one first to make room."""
        if not self._free:
            return None
        prefix = self._prefixes[tokens] = Prefix(tokens, self._free.pop(), users=1)
        return prefix

    def complete(self, prefix: Prefix) -> None:
        """The prefix is in its sequence: others may share it from now on."""
        prefix.ready = True
        self.cells += len(prefix.tokens)

    def release(self, prefix: Prefix) -> None:
        """One user less. A prefix that was never completed goes with the request that computed it."""
        prefix.users -= 1
        if not prefix.ready:
            self._forget(prefix)

    def has_free_sequence(self) -> bool:
        return bool(self._free)

    def evict_one(self) -> int | None:
        """Forget the least recently used idle prefix; its sequence, whose memory the caller drops."""
        for prefix in self._prefixes.values():
            if prefix.ready and not prefix.users:
                self.cells -= len(prefix.tokens)
                self._forget(prefix)
                return prefix.sequence
        return None

    def _forget(self, prefix: Prefix) -> None:
        del self._prefixes[prefix.tokens]
        self._free.append(prefix.sequence)
