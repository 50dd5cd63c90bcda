"""Who runs next, with which tokens. Pure policy: no clock, no thread, no model.

Waiting requests start in order of their rank, arrival time plus some seconds for a lower priority and for each running
request of the same owner: bounded, so that whoever waits long enough comes first. A request reserves the cells of its
longest possible answer when it starts and waits until they are free; nobody behind it overtakes it meanwhile. A batch
holds the next token of every answer that runs, guesses at more of them where these cost little, and, in what is left,
chunks of the prompts that are being read.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

from ai_core.engine.backends.base import Chunk, Limits
from ai_core.engine.pacing import FIRST_TOKENS, StepLoad
from ai_core.engine.prefix_cache import Match, PrefixCache
from ai_core.engine.request import Priority
from ai_core.engine.sequence import SequenceState, State
from ai_core.engine.speculation import StepCosts, share_evenly, share_out

PRIORITY_SECONDS = {Priority.INTERACTIVE: 0.0, Priority.MAIL: 15.0, Priority.BATCH: 60.0}
"""Head start that an interactive request has over one that arrived at the same time."""

TURN_SECONDS = 2.0
"""Head start over a request whose owner has one more request running."""

EVEN_ROWS = (4, 16, 64)
"""Libraries compute multiples of these best: 4 and 16 rows at a time in a product, 64 of a prompt in attention."""


def rank(priority: Priority, arrived: float) -> float:
    """Place in the queue: the lower, the earlier. `arrived` in seconds on any steady clock."""
    return arrived + PRIORITY_SECONDS[priority]


@dataclass(frozen=True, slots=True)
class Copy:
    """Let sequence `target`, which is empty, share the first `length` positions of `source`."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget a sequence."""

    sequence: int


@dataclass(slots=True)
class Plan:
    """One step: what to do to the memory, in this order, who starts, then the batch (a sequence, its chunk)."""

    memory: list[Copy | Drop] = field(default_factory=list)
    started: list[SequenceState] = field(default_factory=list)
    batch: list[tuple[SequenceState, Chunk]] = field(default_factory=list)
    answers: int = 0
    readers: int = 0

    @property
    def load(self) -> StepLoad:
        return StepLoad(self.answers, self.readers, sum(len(chunk.tokens) for _, chunk in self.batch[self.answers :]))


class Scheduler:
    """`prefill_tokens` of prompts at most go into a batch that also carries running answers; may be changed."""

    def __init__(self, limits: Limits, *, prefill_tokens: int = FIRST_TOKENS, costs: StepCosts | None = None) -> None:
        self.prefill_tokens = prefill_tokens
        self._limits = limits
        self._costs = costs
        self._free_slots = list(range(limits.slots))  # a heap: neighbours are computed together
        self._admitting = True
        self._adapter = ""
        self.waiting: list[SequenceState] = []
        self.running: list[SequenceState] = []
        self.prefixes = PrefixCache(range(limits.slots, limits.slots + limits.pinned))

    @property
    def cells_used(self) -> int:
        """Cells that hold a token now."""
        return self.prefixes.cells + sum(sequence.own_cells for sequence in self.running)

    def add(self, sequence: SequenceState) -> None:
        self.waiting.append(sequence)

    def schedule(self) -> Plan:
        plan = Plan()
        self._admit(plan)
        self._fill_batch(plan)
        return plan

    def advance(self, sequence: SequenceState, tokens: int) -> list[Copy | Drop]:
        """`tokens` more of `sequence` are computed; what to do to the memory when that completes a shared prefix."""
        sequence.computed += tokens
        run = sequence.prefix
        if run is None or not run.pending or sequence.computed < run.depth:
            return []
        sequence.shared_cells = run.depth
        memory = self._make_holder()
        holder = self.prefixes.complete(run)
        return memory if holder is None else [*memory, Copy(sequence.slot, holder, run.depth), *self._hold_less()]

    def release(self, sequence: SequenceState, *, keep: bool = True) -> list[Copy | Drop]:
        """Take `sequence` out, whatever its state; what to do to the memory. With `keep` its conversation's next turn
        may go on from what was computed."""
        if sequence.state is State.WAITING:
            self.waiting.remove(sequence)
            return []
        self._admitting = True
        return [*(self._keep(sequence) if keep else ()), *self._leave(sequence), *self._hold_less()]

    def preempt(self, sequence: SequenceState) -> list[Copy | Drop]:
        """Send a running sequence back to the queue, to be computed again; what to do to the memory. Admits nobody
        until one ends, because memory turned out to be smaller than accounted for."""
        memory = self._leave(sequence)
        self._admitting = not self.running
        sequence.state = State.WAITING
        self.add(sequence)
        return memory

    def forget_prefixes(self) -> None:
        """The memory of every sequence is gone; nothing runs."""
        self._admitting = True
        while self.prefixes.evict_one() is not None:
            pass

    def _leave(self, sequence: SequenceState) -> list[Copy | Drop]:
        self.running.remove(sequence)
        slot, sequence.slot = sequence.slot, -1
        if sequence.prefix is not None:
            self.prefixes.leave(sequence.prefix, slot)
        sequence.prefix, sequence.computed, sequence.shared_cells = None, 0, 0
        heapq.heappush(self._free_slots, slot)
        return [Drop(slot)]

    def _keep(self, sequence: SequenceState) -> list[Copy | Drop]:
        """Keep what was computed of a conversation for its next turn, unless that fails for want of a holder."""
        conversation, run = sequence.request.conversation, sequence.prefix
        if conversation is None or run is None:
            return []
        memory = self._make_holder()
        known = sequence.tokens[: sequence.computed]  # shorter than `computed` where drafts went on after the end
        holder = self.prefixes.keep(run, tuple(known[run.depth :]), conversation)
        return memory if holder is None else [*memory, Copy(sequence.slot, holder, len(known))]

    def _hold_less(self) -> list[Copy | Drop]:
        """Give up what was not used for longest while holders keep more than they may."""
        memory: list[Copy | Drop] = []
        while self.prefixes.held > self._limits.held:
            holder = self.prefixes.evict_one(for_cells=False)
            assert holder is not None
            memory.append(Drop(holder))
        return memory

    def _make_holder(self) -> list[Copy | Drop]:
        if self.prefixes.has_free_holder():
            return []
        holder = self.prefixes.evict_one(for_cells=False)
        return [] if holder is None else [Drop(holder)]

    # -- admission ----------------------------------------------------------------------------------------------------

    def _admit(self, plan: Plan) -> None:
        running = Counter(sequence.request.owner for sequence in self.running)
        waiting = list(self.waiting)
        while waiting and self._free_slots and self._admitting:
            first = min(waiting, key=lambda one: one.rank + TURN_SECONDS * running[one.request.owner])
            waiting.remove(first)
            match = self.prefixes.match(
                first.request.prompt[:-1], conversation=first.request.conversation, adapter=first.request.adapter
            )
            if match.pending:
                continue  # another request is computing it: cheaper to wait a step or two than to compute it again
            if not self._start(first, match, plan):
                return
            running[first.request.owner] += 1

    def _start(self, sequence: SequenceState, match: Match, plan: Plan) -> bool:
        """Whether the cells that `sequence` may need could be had, at the price of idle prefixes other than its own."""
        slot = self._free_slots[0]
        run = self.prefixes.share(match, slot)
        needed = sequence.most_cells - run.depth
        if needed > self._free_cells() + self.prefixes.idle_cells:
            self.prefixes.leave(run, slot)
            return False
        if run.depth:
            plan.memory.append(Copy(self.prefixes.source(run, slot), slot, run.depth))
        while self._free_cells() < needed:
            plan.memory += self._evict()
        sequence.reused = sequence.computed = sequence.shared_cells = run.depth
        public = sequence.request.prompt[run.depth : sequence.public_length]
        sequence.prefix = self.prefixes.begin(run, public, slot)
        if sequence.request.conversation is not None:
            plan.memory += [Drop(holder) for holder in self.prefixes.forget(sequence.request.conversation)]
        heapq.heappop(self._free_slots)
        sequence.slot, sequence.state = slot, State.RUNNING
        self.waiting.remove(sequence)
        self.running.append(sequence)
        plan.started.append(sequence)
        return True

    def _free_cells(self) -> int:
        reserved = sum(sequence.reserved_cells for sequence in self.running)
        return self._limits.cells - self.prefixes.cells - reserved

    def _evict(self) -> list[Copy | Drop]:
        holder = self.prefixes.evict_one()
        return [] if holder is None else [Drop(holder)]

    # -- the batch ----------------------------------------------------------------------------------------------------

    def _fill_batch(self, plan: Plan) -> None:
        """One adapter's requests, those of the next one the next time."""
        present = sorted({sequence.request.adapter or "" for sequence in self.running})
        if not present:
            return
        self._adapter = next((name for name in present if name > self._adapter), present[0])
        running = [sequence for sequence in self.running if (sequence.request.adapter or "") == self._adapter]
        decoding = [sequence for sequence in running if sequence.remaining <= 1]
        reading = [sequence for sequence in running if sequence.remaining > 1]
        for sequence, draft in zip(decoding, self._drafts(decoding, bool(reading)), strict=True):
            plan.batch.append((sequence, _next_chunk(sequence, 1, draft)))
        plan.answers, plan.readers = len(decoding), len(reading)
        room = self._limits.batch_tokens - len(decoding)
        if decoding:
            room = self._even(min(room, self.prefill_tokens), len(decoding))
        for sequence in reading:
            if room <= 0:
                return
            chunk = self._next_of_prompt(sequence, room)
            plan.batch.append((sequence, chunk))
            room -= len(chunk.tokens)

    def _even(self, room: int, answers: int) -> int:
        """About `room` tokens of prompts, so many that the rows computed together are a good number."""
        beside = 0 if self._limits.separate else answers
        even = max((rows for rows in EVEN_ROWS if rows <= room + beside), default=EVEN_ROWS[0])
        most = self._limits.batch_tokens - answers
        return max(1, min(round((room + beside) / even) * even - beside, most))

    def _next_of_prompt(self, sequence: SequenceState, room: int) -> Chunk:
        """Where slots are separate a chunk ends with the prefix that it completes: the whole state is copied."""
        run = sequence.prefix
        if self._limits.separate and run is not None and run.pending:
            room = min(room, run.depth - sequence.computed)
        return _next_chunk(sequence, room)

    def _drafts(self, decoding: list[SequenceState], reading: bool) -> list[list[int]]:
        """Guesses for each answer; none while prompts are read, which use the same room better."""
        most = min(self._limits.outputs, self._limits.batch_tokens)
        if self._costs is None or reading or len(decoding) >= most:
            return [[] for _ in decoding]
        guesses = [sequence.guess() for sequence in decoding]
        if not self._limits.separate:
            return share_out(guesses, self._costs, most=most)
        # As many for everyone, or they would be computed apart; what is no guess is refused like a wrong one.
        room = min(sequence.room for sequence in decoding)
        drafted = min(share_evenly(guesses, self._costs, most=most), room)
        ends = [sequence.tokens[-1:] * drafted for sequence in decoding]
        return [[*guess.tokens, *end][:drafted] for guess, end in zip(guesses, ends, strict=True)]


def _next_chunk(sequence: SequenceState, room: int, draft: list[int] | None = None) -> Chunk:
    start, end = sequence.computed, min(sequence.computed + room, len(sequence.tokens))
    sampler = sequence.sampler if end == len(sequence.tokens) else None
    tokens = sequence.tokens[start:end] + (draft or [])
    return Chunk(sequence.slot, start, tokens, sampler, drafted=len(draft or ()), adapter=sequence.request.adapter)
