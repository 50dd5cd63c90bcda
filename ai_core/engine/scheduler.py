"""Who runs next, with which tokens. Pure policy: no clock, no thread, no model.

Waiting requests start in order of their rank, arrival time plus some seconds for a lower priority: constant, so that
whoever waits long enough comes first. A request reserves the cells of its longest possible answer when it starts and
waits until they are free; nobody behind it overtakes it meanwhile. A batch holds one token of every answer that runs
and, in what is left, chunks of the prompts that are being read.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from ai_core.engine.backends.base import Chunk, Limits
from ai_core.engine.prefix_cache import Prefix, PrefixCache
from ai_core.engine.request import Priority
from ai_core.engine.sequence import SequenceState, State

PRIORITY_SECONDS = {Priority.INTERACTIVE: 0.0, Priority.MAIL: 15.0, Priority.BATCH: 60.0}
"""Head start that an interactive request has over one that arrived at the same time."""

PREFILL_TOKENS = 128
"""Prompt tokens in a batch that also carries running answers: bounds how long these stand still."""


def rank(priority: Priority, arrived: float) -> float:
    """Place in the queue: the lower, the earlier. `arrived` in seconds on any steady clock."""
    return arrived + PRIORITY_SECONDS[priority]


@dataclass(slots=True)
class Plan:
    """One step: pinned sequences to drop, requests that start, then the batch (a sequence, its chunk)."""

    evicted: list[int] = field(default_factory=list)
    started: list[SequenceState] = field(default_factory=list)
    batch: list[tuple[SequenceState, Chunk]] = field(default_factory=list)


class Scheduler:
    def __init__(self, limits: Limits, prefill_tokens: int = PREFILL_TOKENS) -> None:
        self._limits = limits
        self._prefill_tokens = prefill_tokens
        self._free_slots = list(range(limits.slots))
        self._admitting = True
        self.waiting: list[SequenceState] = []
        self.running: list[SequenceState] = []
        self.prefixes = PrefixCache(range(limits.slots, limits.slots + limits.pinned))

    @property
    def cells_used(self) -> int:
        """Cells that hold a token now."""
        return self.prefixes.cells + sum(sequence.own_cells for sequence in self.running)

    def add(self, sequence: SequenceState) -> None:
        bisect.insort(self.waiting, sequence, key=lambda other: other.rank)

    def schedule(self) -> Plan:
        plan = Plan()
        self._admit(plan)
        self._fill_batch(plan)
        return plan

    def advance(self, sequence: SequenceState, tokens: int) -> Prefix | None:
        """`tokens` more of `sequence` are computed; the prefix that is now complete and wants to be copied from it."""
        sequence.computed += tokens
        prefix = sequence.prefix
        if prefix is None or prefix.ready or sequence.computed < len(prefix.tokens):
            return None
        self.prefixes.complete(prefix)
        sequence.shared_cells = len(prefix.tokens)
        return prefix

    def release(self, sequence: SequenceState) -> int | None:
        """Take `sequence` out, whatever its state; the slot whose memory is to be dropped, if it had one."""
        if sequence.state is State.WAITING:
            self.waiting.remove(sequence)
            return None
        self._admitting = True
        return self._leave(sequence)

    def preempt(self, sequence: SequenceState) -> int:
        """Send a running sequence back to the queue, to be computed again; its slot. Admits nobody until one ends,
        because memory turned out to be smaller than accounted for."""
        slot = self._leave(sequence)
        self._admitting = not self.running
        sequence.state = State.WAITING
        self.add(sequence)
        return slot

    def forget_prefixes(self) -> None:
        """The memory of every sequence is gone; nothing runs."""
        self._admitting = True
        while self.prefixes.evict_one() is not None:
            pass

    def _leave(self, sequence: SequenceState) -> int:
        self.running.remove(sequence)
        if sequence.prefix is not None:
            self.prefixes.release(sequence.prefix)
        slot, sequence.slot = sequence.slot, -1
        sequence.prefix, sequence.computed, sequence.shared_cells = None, 0, 0
        self._free_slots.append(slot)
        return slot

    def _admit(self, plan: Plan) -> None:
        for sequence in list(self.waiting):
            if not self._free_slots or not self._admitting:
                return
            prefix = self.prefixes.find(sequence.shared_tokens)
            if prefix is not None and not prefix.ready:
                continue  # another request is computing it: cheaper to wait a step or two than to compute it again
            if not self._make_room(sequence, prefix, plan):
                return
            self._start(sequence, prefix, plan)

    def _make_room(self, sequence: SequenceState, prefix: Prefix | None, plan: Plan) -> bool:
        """Whether the cells that `sequence` may need are free, at the price of idle prefixes other than its own."""
        if prefix is not None:
            self.prefixes.use(prefix)
        needed = sequence.max_length - _reusable(prefix)
        if needed > self._free_cells() + self.prefixes.idle_cells:
            if prefix is not None:
                self.prefixes.release(prefix)
            return False
        while self._free_cells() < needed:
            self._evict(plan)
        return True

    def _free_cells(self) -> int:
        reserved = sum(sequence.reserved_cells for sequence in self.running)
        return self._limits.cells - self.prefixes.cells - reserved

    def _evict(self, plan: Plan) -> None:
        sequence = self.prefixes.evict_one()
        if sequence is not None:
            plan.evicted.append(sequence)

    def _start(self, sequence: SequenceState, prefix: Prefix | None, plan: Plan) -> None:
        sequence.prefix = prefix or self._begin_prefix(sequence, plan)
        sequence.reused = sequence.computed = sequence.shared_cells = _reusable(prefix)
        sequence.slot = self._free_slots.pop()
        sequence.state = State.RUNNING
        self.waiting.remove(sequence)
        self.running.append(sequence)
        plan.started.append(sequence)

    def _begin_prefix(self, sequence: SequenceState, plan: Plan) -> Prefix | None:
        if not self._limits.pinned or not sequence.shared_tokens:
            return None
        if not self.prefixes.has_free_sequence():
            self._evict(plan)
        return self.prefixes.begin(sequence.shared_tokens)

    def _fill_batch(self, plan: Plan) -> None:
        decoding = [sequence for sequence in self.running if sequence.remaining == 1]
        reading = [sequence for sequence in self.running if sequence.remaining > 1]
        room = self._limits.batch_tokens - len(decoding)
        if decoding:
            room = min(room, self._prefill_tokens)
        for sequence in decoding:
            plan.batch.append((sequence, _next_chunk(sequence, 1)))
        for sequence in reading:
            if room <= 0:
                return
            chunk = _next_chunk(sequence, room)
            plan.batch.append((sequence, chunk))
            room -= len(chunk.tokens)


def _reusable(prefix: Prefix | None) -> int:
    """Tokens that `prefix` spares."""
    return len(prefix.tokens) if prefix is not None else 0


def _next_chunk(sequence: SequenceState, room: int) -> Chunk:
    start, end = sequence.computed, min(sequence.computed + room, len(sequence.tokens))
    sampler = sequence.sampler if end == len(sequence.tokens) else None
    return Chunk(sequence.slot, start, sequence.tokens[start:end], sampler)
