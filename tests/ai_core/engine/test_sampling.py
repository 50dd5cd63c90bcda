from __future__ import annotations

import math
from typing import Any

import pytest

from ai_core.engine.sampling import MAX_SEED, SamplingParameters


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_p": 1.01},
        {"top_p": -0.1},
        {"top_k": -1},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": math.nan},
        {"max_tokens": 0},
        {"stop": ("",)},
    ],
)
def test_what_a_backend_could_not_honour_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplingParameters(**wrong)


def test_a_seed_is_kept_and_folded_into_32_bits() -> None:
    assert SamplingParameters(seed=42).draw_seed() == 42
    assert 0 <= SamplingParameters(seed=-1).draw_seed() <= MAX_SEED
    assert 0 <= SamplingParameters(seed=2**32 - 1).draw_seed() <= MAX_SEED


def test_without_a_seed_every_draw_differs() -> None:
    assert len({SamplingParameters().draw_seed() for _ in range(8)}) > 1
