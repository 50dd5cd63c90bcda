from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ai_core.engine.prefix_cache import PrefixCache, Run, Tokens

SYSTEM, OTHER = (1, 2, 3), (4, 5)


def computed(cache: PrefixCache, tokens: Tokens, slot: int = 0) -> Run:
    """A public prefix that the request in `slot` computed and still shares."""
    run = cache.begin(cache.share(cache.match(tokens), slot), tokens, slot)
    cache.complete(run)
    return run


def test_a_prefix_counts_its_cells_once_however_many_share_it() -> None:
    cache = PrefixCache([8])
    computed(cache, SYSTEM)
    for slot in (1, 2):
        cache.share(cache.match((*SYSTEM, 9)), slot)
    assert cache.cells == 3
    assert cache.idle_cells == 0


def test_a_prefix_in_use_is_not_evicted_for_its_cells() -> None:
    cache = PrefixCache([8])
    run = computed(cache, SYSTEM)
    assert cache.evict_one() is None
    cache.leave(run, 0)
    assert cache.idle_cells == 3
    assert cache.evict_one() == 8
    assert cache.cells == 0


def test_a_prefix_in_use_outlives_its_holder() -> None:
    cache = PrefixCache([8])
    run = computed(cache, SYSTEM)
    assert cache.evict_one(for_cells=False) == 8
    assert cache.match(SYSTEM).run is run
    assert cache.source(run, slot=1) == 0
    cache.leave(run, 0)
    assert cache.match(SYSTEM).length == 0


def test_the_least_recently_used_prefix_goes_first() -> None:
    cache = PrefixCache([8, 9])
    first, second = computed(cache, SYSTEM), computed(cache, OTHER, slot=1)
    kept = second.holder
    cache.leave(first, 0)
    cache.leave(second, 1)
    cache.leave(cache.share(cache.match(SYSTEM), 2), 2)
    assert cache.evict_one() == kept
    assert cache.match(SYSTEM).length == 3


def test_prompts_that_part_in_the_middle_of_a_prefix_share_its_beginning() -> None:
    cache = PrefixCache([8, 9])
    computed(cache, (1, 2, 3, 4))
    match = cache.match((1, 2, 7))
    assert match.length == 2
    run = cache.share(match, 1)
    assert (run.depth, cache.cells) == (2, 4)
    cache.complete(cache.begin(run, (7,), 1))
    assert cache.cells == 5
    assert cache.match((1, 2, 3, 4)).length == 4
    assert cache.match((1, 2, 7)).length == 3


def test_a_prefix_whose_request_ended_before_it_was_complete_is_forgotten() -> None:
    cache = PrefixCache([8])
    run = cache.begin(cache.share(cache.match(SYSTEM), 0), SYSTEM, 0)
    assert cache.match(SYSTEM).pending
    assert cache.cells == 0
    cache.leave(run, 0)
    assert not cache.match(SYSTEM).pending


def test_the_cells_of_a_conversation_are_its_own() -> None:
    cache = PrefixCache([8, 9])
    run = computed(cache, SYSTEM)
    assert cache.keep(run, (7, 7), "marie") is not None
    cache.leave(run, 0)
    asked = (*SYSTEM, 7, 7, 7)
    assert cache.match(asked, conversation="marie").length == 5
    assert cache.match(asked, conversation="paul").length == 3
    assert cache.match(asked).length == 3
    assert cache.cells == 5
    assert len(cache.forget("marie")) == 1
    assert cache.cells == 3


class PrefixCacheMachine(RuleBasedStateMachine):
    """Any order of calls that the scheduler may make, against sequences that really hold tokens."""

    slots, holders = range(3), range(3, 6)

    def __init__(self) -> None:
        super().__init__()
        self.cache = PrefixCache(self.holders)
        self.memory: dict[int, Tokens] = {}
        self.shared: dict[int, Run] = {}
        self.conversations: dict[int, str | None] = {}

    prompts = st.lists(st.integers(1, 2), min_size=1, max_size=6).map(tuple)

    @precondition(lambda self: len(self.shared) < len(self.slots))
    @rule(prompt=prompts, public=st.integers(0, 6), conversation=st.none() | st.sampled_from("ab"))
    def start(self, prompt: Tokens, public: int, conversation: str | None) -> None:
        slot = next(slot for slot in self.slots if slot not in self.shared)
        match = self.cache.match(prompt, conversation=conversation)
        if match.pending:
            return
        run = self.cache.share(match, slot)
        assert run.depth == match.length
        if run.depth:
            assert self.memory[self.cache.source(run, slot)][: run.depth] == prompt[: run.depth]
        self.memory[slot] = prompt[: run.depth]
        self.shared[slot] = self.cache.begin(run, prompt[run.depth : public], slot)
        self.conversations[slot] = conversation
        if conversation is not None:
            self.drop(self.cache.forget(conversation))

    @rule(slot=st.sampled_from(slots))
    def complete(self, slot: int) -> None:
        run = self.shared.get(slot)
        if run is not None and run.pending:
            self.memory[slot] += run.tokens
            holder = self.cache.complete(run)
            if holder is not None:
                self.memory[holder] = self.memory[slot]

    @rule(slot=st.sampled_from(slots), answer=st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple))
    def end(self, slot: int, answer: Tokens) -> None:
        run, conversation = self.shared.pop(slot, None), self.conversations.pop(slot, None)
        if run is None:
            return
        if conversation is not None:
            if not self.cache.has_free_holder():
                self.drop([self.cache.evict_one(for_cells=False)])
            holder = self.cache.keep(run, answer, conversation)
            if holder is not None:
                self.memory[holder] = self.memory[slot][: run.depth] + answer
        self.cache.leave(run, slot)
        self.drop([slot])

    @precondition(lambda self: self.cache.idle_cells)
    @rule()
    def evict(self) -> None:
        before = self.cache.cells
        self.drop([self.cache.evict_one()])
        assert self.cache.cells < before

    @precondition(lambda self: self.cache.held)
    @rule()
    def hold_less(self) -> None:
        before = self.cache.held
        self.drop([self.cache.evict_one(for_cells=False)])
        assert self.cache.held < before

    def drop(self, sequences: list[int] | list[int | None]) -> None:
        for sequence in sequences:
            assert sequence is not None
            del self.memory[sequence]

    @invariant()
    def a_run_is_in_memory_as_long_as_it_is_counted(self) -> None:
        for run in self.cache._runs():
            if not run.pending:
                path = self.path(run)
                assert self.memory[self.cache.source(run, slot=-1)][: run.depth] == path

    @invariant()
    def no_holder_is_lost_or_keeps_two_runs(self) -> None:
        held = [run.holder for run in self.cache._runs() if run.holder is not None]
        assert sorted(held) == sorted(set(held)) == sorted(set(self.memory) & set(self.holders))
        assert self.cache.has_free_holder() == (len(held) < len(self.holders))

    @invariant()
    def what_nobody_keeps_is_forgotten(self) -> None:
        assert all(run.slots or run.children or run.holder is not None for run in self.cache._runs())

    def path(self, run: Run) -> Tokens:
        return (self.path(run.parent) if run.parent else ()) + run.tokens


TestPrefixCacheMachine = PrefixCacheMachine.TestCase
