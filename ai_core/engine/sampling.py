"""How the next token is chosen: the parameters that every backend honours."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

PENALTY_WINDOW = 64
"""Tokens, prompt included, that repetition_penalty looks back on (llama.cpp's own default)."""

MAX_SEED = 2**32 - 2
"""Seeds are 32 bit; the largest value means "random" to llama.cpp."""


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """temperature 0 is greedy; top_k 0 and top_p 1 switch their filter off; max_tokens counts new tokens only.

    With `choices` the answer is one of these token sequences; repetition_penalty does not apply to given texts."""

    temperature: float = 1.0
    top_p: float = 0.9
    top_k: int = 50
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int = 100
    stop: tuple[str, ...] = ()
    choices: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        _require(math.isfinite(self.temperature) and self.temperature >= 0, "temperature")
        _require(0 <= self.top_p <= 1, "top_p")
        _require(self.top_k >= 0, "top_k")
        _require(math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0, "repetition_penalty")
        _require(self.max_tokens >= 1, "max_tokens")
        _require(all(self.stop), "stop")
        _require(all(self.choices), "choices")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def draw_seed(self) -> int:
        """The seed asked for, folded into what backends take, or a fresh random one."""
        return secrets.randbelow(MAX_SEED + 1) if self.seed is None else self.seed % (MAX_SEED + 1)


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} is out of range")
