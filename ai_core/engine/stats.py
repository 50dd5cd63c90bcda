"""What the engine tells about itself: figures for metrics and readiness, and the estimate behind Retry-After."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIRST_GUESS_SECONDS = 5.0
WEIGHT_OF_NEWEST = 0.1


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Totals count from the start of the engine; reused tokens are prompt tokens that were not computed again.
    `waiting_by_priority` has each priority by its name in lower case."""

    slots_total: int
    slots_busy: int
    waiting: int
    waiting_by_priority: Mapping[str, int]
    kv_cells_used: int
    kv_cells_total: int
    prompt_tokens_total: int
    completion_tokens_total: int
    reused_tokens_total: int
    steps_total: int
    seconds_since_last_step: float


@dataclass(slots=True)
class Meter:
    """Running totals, written by the engine's thread."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reused_tokens: int = 0
    steps: int = 0
    answer_seconds: float = FIRST_GUESS_SECONDS
    """Moving average of the time that an answer holds its slot."""

    def count(self, prompt: int, completion: int, reused: int, seconds: float) -> None:
        """One request that had started has ended."""
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.reused_tokens += reused
        self.answer_seconds += WEIGHT_OF_NEWEST * (seconds - self.answer_seconds)

    def expected_wait(self, ahead: int, slots: int) -> float:
        """Seconds until a slot is free for a request with `ahead` others running or before it in the queue."""
        return self.answer_seconds * max(0, ahead - slots + 1) / slots
