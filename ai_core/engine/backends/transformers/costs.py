"""How long a step takes by the number of its tokens: measured, for the engine to know which guesses pay."""

from __future__ import annotations

import time
from typing import Any

from ai_core.engine.backends.transformers.packed import Input, PackedForward
from ai_core.engine.speculation import StepCosts

ROWS = (1, 4, 16)
TRIES = 2


def measure(model: Any) -> StepCosts:
    """A few short texts; the best of two tries, since others may compute at the same time."""
    seconds = [min(_seconds(model, rows) for _ in range(TRIES)) for rows in ROWS]
    return StepCosts(ROWS, tuple(seconds))


def _seconds(model: Any, rows: int) -> float:
    forward = PackedForward(model, rows)
    started = time.perf_counter()
    forward.run([Input(row, [row], 1) for row in range(rows)])
    return time.perf_counter() - started
