"""Where long sound is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.engine.audio_windows import is_silent, windows
from tests.ai_core.engine.sounds import RATE, silence, tone

LONGEST = 2 * RATE


def test_short_sound_is_one_window() -> None:
    assert windows(tone(2.0), RATE, LONGEST) == [(0, LONGEST)]
    assert windows(tone(0.01), RATE, LONGEST) == [(0, 160)]


def test_long_sound_is_cut_in_its_pauses() -> None:
    words = [tone(1.5), silence(0.3), tone(1.3), silence(0.3), tone(1.4)]
    (start, one), (_, two), (_, end) = windows(np.concatenate(words), RATE, LONGEST)
    assert (start, end) == (0, round(4.8 * RATE))
    assert 1.6 * RATE <= one <= 1.7 * RATE
    assert 3.2 * RATE <= two <= 3.3 * RATE


def test_a_pause_need_not_be_silent() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.01, 3 * RATE).astype(np.float32)
    noise[: round(1.4 * RATE)] += tone(1.4)
    noise[round(1.7 * RATE) :] += tone(1.3)
    (_, cut), _ = windows(noise, RATE, LONGEST)
    assert 1.45 < cut / RATE < 1.65


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12 * RATE), st.integers(0, 2**32 - 1), st.sampled_from([RATE, 8_000]))
def test_windows_follow_each_other_and_are_no_longer_than_asked(length: int, seed: int, rate: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)
    borders = windows(samples, rate, 2 * rate)
    assert borders[0][0] == 0
    assert borders[-1][1] == length
    assert all(end == start for (_, end), (start, _) in pairwise(borders))
    assert all(0 < end - start <= 2 * rate for start, end in borders)
    assert len(borders) == 1 or all(end - start >= 2 * rate // 3 for start, end in borders)


def test_silence_is_what_nobody_hears() -> None:
    assert is_silent(silence(1.0))
    assert is_silent(tone(1.0, loudness=0.0005))
    assert not is_silent(tone(1.0, loudness=0.01))
    assert is_silent(silence(0))
