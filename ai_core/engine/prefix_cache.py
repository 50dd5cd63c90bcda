"""Beginnings of prompts that memory holds: a tree of token runs, each computed once, whoever shares it.

Bookkeeping only, owned by the engine's thread; the engine copies and drops the memory itself. A run of tokens is public
(system prompt, articles) or the text of one conversation, which no other request may see. It stays in memory while a
running request shares it or a holder, a sequence of its own, keeps it for later; least recently used holders go first.
The cells of a run are counted here, once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Tokens = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Run:
    """`tokens` that follow those of `parent`; `depth` tokens from the root to its end. `slots` are the sequences of
    running requests that share the path down to here, or compute it while it is pending; `holder` is the sequence that
    keeps it for later."""

    tokens: Tokens
    depth: int
    parent: Run | None = None
    conversation: str | None = None
    pending: bool = False
    holder: int | None = None
    last_used: int = 0
    slots: list[int] = field(default_factory=list)
    children: list[Run] = field(default_factory=list)

    def below(self) -> Iterator[Run]:
        """This run and everything after it."""
        yield self
        for child in self.children:
            yield from child.below()

    @property
    def shared(self) -> bool:
        """Whether a running request shares it, or more than it."""
        return any(run.slots for run in self.below())


@dataclass(frozen=True, slots=True)
class Match:
    """`length` tokens of a prompt are in memory, the last of them in `run`; `pending`: more would be in a moment."""

    run: Run
    length: int
    pending: bool = False


class PrefixCache:
    """`holders` are the sequences that may keep runs while nobody uses them; without any, nothing is ever shared."""

    def __init__(self, holders: Sequence[int]) -> None:
        self._enabled = bool(holders)
        self._free = list(holders)
        self._roots: dict[str | None, Run] = {}
        self._now = 0

    @property
    def cells(self) -> int:
        """Cells of all runs that are computed."""
        return sum(len(run.tokens) for run in self._runs() if not run.pending)

    @property
    def held(self) -> int:
        """Tokens that holders keep, each of them its whole path."""
        return sum(run.depth for run in self._runs() if run.holder is not None)

    @property
    def idle_cells(self) -> int:
        """Cells that eviction could free now."""
        return sum(len(run.tokens) for run in self._runs() if not run.shared)

    def match(self, tokens: Tokens, *, conversation: str | None = None, adapter: str | None = None) -> Match:
        """The longest beginning of `tokens` that memory holds for this adapter and conversation."""
        run = self._root(adapter)
        while True:
            found = self._follow(run, tokens, conversation)
            if found is None:
                return Match(run, run.depth)
            child, common = found
            if child.pending:
                return Match(run, run.depth, pending=True)
            if common < len(child.tokens):
                return Match(child, run.depth + common)
            run = child

    def share(self, match: Match, slot: int) -> Run:
        """Let the request in `slot` share what was matched, up to a run that ends just there."""
        run = self._split(match.run, match.length) if match.length < match.run.depth else match.run
        run.slots.append(slot)
        self._touch(run)
        return run

    def source(self, run: Run, slot: int) -> int:
        """A sequence other than `slot` that holds the path down to `run`."""
        holders = (each.holder for each in run.below() if each.holder is not None)
        slots = (other for each in run.below() for other in each.slots if other != slot)
        return next(itertools.chain(holders, slots))

    def begin(self, run: Run, tokens: Tokens, slot: int) -> Run:
        """The request in `slot`, which shared `run`, computes public `tokens` after it: pending until `complete`."""
        if not self._enabled or not tokens:
            return run
        run.slots.remove(slot)
        child = self._grow(run, tokens, None)
        child.pending = True
        child.slots.append(slot)
        return child

    def complete(self, run: Run) -> int | None:
        """The run is computed: others may share it from now on. The sequence that shall keep it, if there is one."""
        run.pending = False
        run.holder = self._free.pop() if self._free else None
        self._touch(run)
        return run.holder

    def keep(self, run: Run, tokens: Tokens, conversation: str) -> int | None:
        """A request that shares `run` is about to end; `tokens` after it are the conversation's. The
        sequence that shall keep them, if there is one. Call `evict_one` first where none is free."""
        if not self._free or not tokens or run.pending:
            return None
        child = self._grow(run, tokens, conversation)
        child.holder = self._free.pop()
        self._touch(child)
        return child.holder

    def leave(self, run: Run, slot: int) -> None:
        """The request in `slot` does not share `run` any more. A run that it did not complete goes with it."""
        run.slots.remove(slot)
        self._prune(run)

    def forget(self, conversation: str) -> list[int]:
        """Give up what is kept of `conversation`; the sequences, whose memory the caller drops."""
        kept = [run for run in self._runs() if run.conversation == conversation and run.holder is not None]
        return [self._release(run) for run in kept]

    def has_free_holder(self) -> bool:
        return bool(self._free)

    def evict_one(self, *, for_cells: bool = True) -> int | None:
        """Give up the least recently used holder; its sequence, whose memory the caller drops. `for_cells`: only one
        that frees cells."""
        held = [run for run in self._runs() if run.holder is not None]
        if for_cells:
            held = [run for run in held if not run.shared and not run.children]
        # Of a path that was used as one, the longest first: more prompts begin as the shorter ones do.
        return self._release(min(held, key=lambda run: (run.last_used, -run.depth))) if held else None

    def _runs(self) -> Iterator[Run]:
        for root in self._roots.values():
            for child in root.children:
                yield from child.below()

    def _root(self, adapter: str | None) -> Run:
        return self._roots.setdefault(adapter, Run((), 0))

    def _follow(self, run: Run, tokens: Tokens, conversation: str | None) -> tuple[Run, int] | None:
        """The child that shares most of what comes next, with the number of tokens shared."""
        best: tuple[Run, int] | None = None
        for child in run.children:
            if child.conversation not in (None, conversation):
                continue
            common = _common(child.tokens, tokens, run.depth)
            if common > (best[1] if best else 0):
                best = child, common
        return best

    def _grow(self, run: Run, tokens: Tokens, conversation: str | None) -> Run:
        child = Run(tokens, run.depth + len(tokens), run, conversation)
        run.children.append(child)
        return child

    def _split(self, run: Run, depth: int) -> Run:
        """Cut `run` in two; the upper part, which ends at `depth`."""
        assert run.parent is not None
        cut = len(run.tokens) - (run.depth - depth)
        upper = Run(run.tokens[:cut], depth, run.parent, run.conversation, last_used=run.last_used, children=[run])
        run.parent.children[run.parent.children.index(run)] = upper
        run.parent, run.tokens = upper, run.tokens[cut:]
        return upper

    def _touch(self, run: Run | None) -> None:
        self._now += 1
        while run is not None:
            run.last_used, run = self._now, run.parent

    def _release(self, run: Run) -> int:
        assert run.holder is not None
        sequence, run.holder = run.holder, None
        self._free.append(sequence)
        self._prune(run)
        return sequence

    def _prune(self, run: Run) -> None:
        """Forget runs that nothing keeps in memory, from `run` upwards."""
        while run.parent is not None and not run.slots and not run.children and run.holder is None:
            run.parent.children.remove(run)
            run = run.parent


def _common(run: Tokens, tokens: Tokens, start: int) -> int:
    """How many tokens of `run` are those of `tokens` from `start` on."""
    rest = tokens[start : start + len(run)]
    if run == rest:
        return len(run)
    return next(
        (place for place, (ours, theirs) in enumerate(zip(run, rest, strict=False)) if ours != theirs), len(rest)
    )
