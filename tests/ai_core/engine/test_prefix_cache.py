from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from ai_core.engine.prefix_cache import Prefix, PrefixCache

SYSTEM, OTHER = (1, 2, 3), (4, 5)


def ready(cache: PrefixCache, tokens: tuple[int, ...]) -> Prefix:
    prefix = cache.begin(tokens)
    assert prefix is not None
    cache.complete(prefix)
    cache.release(prefix)
    return prefix


def test_a_prefix_counts_its_cells_once_however_many_use_it() -> None:
    cache = PrefixCache([8])
    prefix = ready(cache, SYSTEM)
    cache.use(prefix)
    cache.use(prefix)
    assert cache.cells == 3
    assert cache.find(SYSTEM) is prefix
    assert cache.find((1, 2)) is None


def test_a_prefix_in_use_is_never_evicted() -> None:
    cache = PrefixCache([8])
    prefix = ready(cache, SYSTEM)
    cache.use(prefix)
    assert cache.evict_one() is None
    cache.release(prefix)
    assert cache.evict_one() == 8
    assert cache.cells == 0


def test_the_least_recently_used_prefix_goes_first() -> None:
    cache = PrefixCache([8, 9])
    first, second = ready(cache, SYSTEM), ready(cache, OTHER)
    cache.use(first)
    cache.release(first)
    assert cache.evict_one() == second.sequence
    assert cache.find(SYSTEM) is first


def test_a_prefix_whose_request_ended_before_it_was_complete_is_forgotten() -> None:
    cache = PrefixCache([8])
    prefix = cache.begin(SYSTEM)
    assert prefix is not None
    assert not prefix.ready
    assert cache.begin(OTHER) is None
    cache.release(prefix)
    assert cache.find(SYSTEM) is None
    assert cache.begin(OTHER) is not None


class PrefixCacheMachine(RuleBasedStateMachine):
    """Any order of calls that the scheduler may make."""

    held = Bundle("held")
    sequences = (10, 11, 12)

    def __init__(self) -> None:
        super().__init__()
        self.cache = PrefixCache(self.sequences)
        self.known: dict[int, Prefix] = {}

    @rule(target=held, size=st.integers(1, 4))
    def use(self, size: int) -> Prefix | None:
        tokens = tuple(range(size))
        prefix = self.cache.find(tokens)
        if prefix is None:
            prefix = self.cache.begin(tokens)
        elif prefix.ready:
            self.cache.use(prefix)
        else:
            return None
        if prefix is not None:
            self.known[prefix.sequence] = prefix
        return prefix

    @rule(prefix=held)
    def complete(self, prefix: Prefix | None) -> None:
        if prefix is not None and not prefix.ready and prefix.users:
            self.cache.complete(prefix)

    @rule(prefix=consumes(held))
    def release(self, prefix: Prefix | None) -> None:
        if prefix is not None:
            self.cache.release(prefix)
            if not prefix.ready:
                del self.known[prefix.sequence]

    @precondition(lambda self: self.cache.idle_cells)
    @rule()
    def evict(self) -> None:
        sequence = self.cache.evict_one()
        assert sequence is not None
        assert not self.known.pop(sequence).users

    @invariant()
    def cells_are_those_of_the_ready_prefixes(self) -> None:
        assert self.cache.cells == sum(len(prefix.tokens) for prefix in self.known.values() if prefix.ready)

    @invariant()
    def no_sequence_holds_two_prefixes_or_is_lost(self) -> None:
        assert {prefix.sequence for prefix in self.known.values()} == set(self.known)
        assert self.cache.has_free_sequence() == (len(self.known) < len(self.sequences))


TestPrefixCacheMachine = PrefixCacheMachine.TestCase
