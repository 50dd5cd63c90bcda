"""When a server is out, on trial, or in."""

from __future__ import annotations

from ai_core.engine.backends.remote.breaker import STRIKES, Breaker, Pace, State

PACE = Pace(interval=5.0, first_pause=0.5, longest_pause=30.0)


def working() -> Breaker:
    breaker = Breaker(PACE)
    breaker.passed_check()
    return breaker


def state(breaker: Breaker) -> State:
    return breaker.state


def test_nothing_is_sent_before_the_first_check() -> None:
    assert state(Breaker(PACE)) is State.OPEN
    assert state(working()) is State.CLOSED


def test_failed_checks_open_it_and_a_passed_one_closes_it() -> None:
    breaker = working()
    breaker.failed_check()
    assert state(breaker) is State.CLOSED, "one may be lost"
    assert breaker.pause == 0.5, "but then it is looked at sooner"
    breaker.failed_check()
    assert state(breaker) is State.OPEN
    breaker.passed_check()
    assert state(breaker) is State.CLOSED


def test_checks_that_fail_now_and_then_do_not_open_it() -> None:
    breaker = working()
    for _ in range(5):
        breaker.failed_check()
        breaker.passed_check()
    assert state(breaker) is State.CLOSED


def test_after_a_failed_answer_a_check_is_not_enough() -> None:
    breaker = working()
    breaker.failed_answer(at_once=True)
    assert state(breaker) is State.OPEN
    breaker.passed_check()
    assert state(breaker) is State.HALF_OPEN
    breaker.passed_check()
    assert state(breaker) is State.HALF_OPEN
    breaker.answered()
    assert state(breaker) is State.CLOSED


def test_a_failure_on_trial_opens_it_again() -> None:
    breaker = working()
    breaker.failed_answer(at_once=True)
    breaker.passed_check()
    breaker.failed_answer(at_once=False)
    assert state(breaker) is State.OPEN


def test_failures_that_may_be_the_requests_fault_must_come_in_a_row() -> None:
    breaker = working()
    for _ in range(STRIKES - 1):
        breaker.failed_answer(at_once=False)
    breaker.answered()
    for _ in range(STRIKES - 1):
        breaker.failed_answer(at_once=False)
    assert state(breaker) is State.CLOSED
    breaker.failed_answer(at_once=False)
    assert state(breaker) is State.OPEN


def test_pauses_double_up_to_a_bound() -> None:
    breaker = working()
    assert breaker.pause == 5.0
    pauses = []
    for _ in range(40):
        breaker.failed_check()
        pauses.append(breaker.pause)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == 30.0
    breaker.passed_check()
    assert breaker.pause == 5.0
