"""The sliding window never lets more through than its limit, wherever the window is laid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.rate_limit import SlidingWindow


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
