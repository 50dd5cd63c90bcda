from __future__ import annotations

import pytest

from ai_core.engine.pacing import LEAST_TOKENS, MOST_TOKENS, SLOWER, WAITED_SECONDS, PrefillPace, StepLoad
from ai_core.engine.speculation import StepCosts


def steady(pace: PrefillPace, *, answers: int, seconds_per_token: float, alone: float, readers: int = 1) -> float:
    """Seconds of a step with prompt tokens, once the pace has settled."""
    for _ in range(30):
        seconds = alone + pace.tokens * seconds_per_token
        pace.took(seconds, StepLoad(answers, readers, pace.tokens))
    return seconds


def test_prompts_slow_running_answers_by_a_bounded_factor() -> None:
    pace = PrefillPace()
    pace.took(0.07, StepLoad(8))
    seconds = steady(pace, answers=8, seconds_per_token=0.005, alone=0.07)
    assert seconds == pytest.approx(0.07 * SLOWER, rel=0.05)


def test_where_few_answers_run_a_prompt_is_read_in_larger_chunks() -> None:
    pace = PrefillPace()
    pace.took(0.04, StepLoad(2))
    assert steady(pace, answers=2, seconds_per_token=0.005, alone=0.04) == pytest.approx(WAITED_SECONDS / 2, rel=0.05)


def test_where_many_people_wait_for_their_first_word_prompts_are_read_in_larger_chunks() -> None:
    seconds = {}
    for readers in (1, 8, 32):
        pace = PrefillPace()
        pace.took(0.1, StepLoad(16))
        seconds[readers] = steady(pace, answers=16, seconds_per_token=0.01, alone=0.1, readers=readers)
    assert seconds[1] == pytest.approx(0.1 * SLOWER, rel=0.1)
    assert seconds[8] == pytest.approx(WAITED_SECONDS / 2, rel=0.1)
    assert seconds[32] == pytest.approx(WAITED_SECONDS, rel=0.1)


def test_a_step_of_more_answers_than_lately_is_expected_to_take_longer() -> None:
    """While prompts arrive one after the other no step is without them: what one answer took says little of twelve."""
    pace = PrefillPace(StepCosts((1, 16), (0.01, 0.1)))
    for _ in range(30):
        pace.took(0.02, StepLoad(1))  # twice as long as measured
    assert steady(pace, answers=16, seconds_per_token=0.005, alone=0.2) == pytest.approx(0.2 * SLOWER, rel=0.1)


def test_a_prompt_that_grows_dearer_is_read_in_smaller_chunks_and_later_ones_in_larger_again() -> None:
    pace = PrefillPace(StepCosts((1, 64), (0.02, 0.3)))
    steady(pace, answers=8, seconds_per_token=0.02, alone=0.05)
    few = pace.tokens
    steady(pace, answers=8, seconds_per_token=0.002, alone=0.05)
    assert LEAST_TOKENS <= few < pace.tokens


def test_a_fast_model_reads_as_much_as_allowed() -> None:
    pace = PrefillPace()
    pace.took(0.001, StepLoad(8))
    steady(pace, answers=8, seconds_per_token=0.0001, alone=0.001)
    assert pace.tokens == MOST_TOKENS


def test_a_very_slow_step_still_reads_something() -> None:
    pace = PrefillPace()
    pace.took(0.1, StepLoad(1))
    steady(pace, answers=1, seconds_per_token=5.0, alone=0.1)
    assert pace.tokens == LEAST_TOKENS


def test_prompts_without_answers_beside_them_teach_nothing() -> None:
    pace = PrefillPace()
    before = pace.tokens
    pace.took(60.0, StepLoad(0, 1, 512))
    assert pace.tokens == before


def test_the_end_of_a_prompt_changes_nothing() -> None:
    pace = PrefillPace()
    pace.took(0.1, StepLoad(4))
    steady(pace, answers=4, seconds_per_token=0.02, alone=0.1)
    before = pace.tokens
    pace.took(0.1, StepLoad(4, 1, 2))
    assert pace.tokens == before
