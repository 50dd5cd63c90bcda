"""The sliding window never lets more through than its limit, wherever the window is laid."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rate_limit import SlidingWindow
from common.redis_store import RedisStore
from tests.redis_server import RedisServer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_hit_after_the_limit_is_refused_until_the_oldest_leaves() -> None:
    clock = Clock()
    window = SlidingWindow(2, clock=clock)
    assert window.hit("a").allowed
    clock.now += 10
    assert window.hit("a").remaining == 0
    refused = window.hit("a")
    assert not refused.allowed
    assert refused.reset_after == 50
    clock.now += 50
    assert window.hit("a").allowed


def test_subjects_do_not_share() -> None:
    window = SlidingWindow(1, clock=Clock())
    assert window.hit("a").allowed
    assert window.hit("b").allowed


def test_a_subject_may_have_a_limit_of_its_own() -> None:
    window = SlidingWindow(1, clock=Clock())
    assert [window.hit("a", limit=3).allowed for _ in range(4)] == [True, True, True, False]


def test_a_look_counts_nothing() -> None:
    window = SlidingWindow(1, clock=Clock())
    assert window.look("a").allowed
    assert window.hit("a").allowed
    assert not window.look("a").allowed


def test_quiet_subjects_are_forgotten() -> None:
    clock = Clock()
    window = SlidingWindow(1, clock=clock)
    for index in range(1000):
        window.hit(str(index))
    clock.now += 121
    window.hit("last")
    assert len(window._hits) == 1


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 5))
def test_no_window_holds_more_than_the_limit(pauses: list[float], limit: int) -> None:
    clock = Clock()
    window = SlidingWindow(limit, clock=clock)
    allowed: list[float] = []
    for pause in pauses:
        clock.now += pause
        if window.hit("a").allowed:
            allowed.append(clock.now)
    for start in allowed:
        assert sum(start <= moment < start + 60 for moment in allowed) <= limit


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def stores(redis: RedisServer) -> Iterator[tuple[RedisStore, RedisStore]]:
    """Those of two processes."""
    pair = (RedisStore(redis.url, prefix="test"), RedisStore(redis.url, prefix="test"))
    redis.flush()
    yield pair
    for store in pair:
        store.close()


def test_two_processes_count_together(stores: tuple[RedisStore, RedisStore]) -> None:
    one, other = (SlidingWindow(3, store=store, name="key") for store in stores)
    verdicts = [one.hit("a"), other.hit("a"), one.hit("a"), other.hit("a"), one.hit("a")]
    assert [(verdict.allowed, verdict.remaining) for verdict in verdicts] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
        (False, 0),
    ]
    assert 59 < verdicts[3].reset_after <= 60
    assert not other.look("a").allowed
    assert other.look("b").remaining == 3
    assert SlidingWindow(3, store=stores[0], name="user").hit("a").allowed  # another limit


def test_a_hit_that_redis_counted_leaves_when_it_says(stores: tuple[RedisStore, RedisStore]) -> None:
    one, other = (SlidingWindow(1, window=0.3, store=store, name="short") for store in stores)
    assert one.hit("a").allowed
    refused = other.hit("a")
    assert not refused.allowed
    time.sleep(refused.reset_after)
    assert other.hit("a").allowed


def test_many_threads_of_two_processes_never_get_more_than_the_limit(stores: tuple[RedisStore, RedisStore]) -> None:
    windows = [SlidingWindow(50, store=store, name="many") for store in stores]
    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda number: windows[number % 2].hit("a"), range(200)))
    assert sum(verdict.allowed for verdict in verdicts) == 50


def test_while_redis_is_away_a_process_counts_for_itself_with_what_it_let_through_before(redis: RedisServer) -> None:
    store = RedisStore(redis.url, prefix="test", timeout=0.2)
    window = SlidingWindow(3, store=store, name="away")
    assert window.hit("a").allowed
    redis.stop()
    try:
        assert [window.hit("a").allowed for _ in range(3)] == [True, True, False]
        assert not window.look("a").allowed
        assert window.look("b").allowed
    finally:
        redis.start()
    assert store.is_up()
    assert not window.hit("a").allowed  # Redis forgot them, the process did not
    assert window.hit("b").remaining == 2


def test_a_subject_can_be_forgotten(stores: tuple[RedisStore, RedisStore]) -> None:
    one, other = (SlidingWindow(1, store=store, name="forget") for store in stores)
    one.hit("a")
    assert not other.hit("a").allowed
    one.forget("a")
    assert other.hit("a").allowed
