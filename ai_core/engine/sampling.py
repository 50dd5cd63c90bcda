"""How the next token is chosen."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

PENALTY_WINDOW = 64
"""Tokens, prompt included, that repetition_penalty looks back on (llama.cpp's own default)."""

MAX_LOGPROBS = 20
"""Alternatives for each token, as in OpenAI's API."""

BASIC = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "repetition_penalty",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "max_tokens",
        "stop",
        "choices",
        "logprobs",
    }
)
"""The parameters that every backend which computes tokens itself honours."""

MAX_SEED = 2**32 - 2
"""Seeds are 32 bit; the largest value means "random" to llama.cpp."""


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """temperature 0 is greedy; top_k 0 and top_p 1 switch their filter off; max_tokens counts new tokens only.

    With `choices` the answer is one of these token sequences; penalties do not apply to given texts. `grammar` is GBNF,
    `json_schema` JSON text; at most one of the three. `logprobs` is the number of alternatives wanted for each token
    (0: only the token's own; None: none). num_beams, length_penalty and early_stopping are beam search's, as in
    transformers; `eos_token_id` ends the answer in place of the model's own end tokens. What a backend honours
    of these, it says in ModelInfo.honours."""

    temperature: float = 1.0
    top_p: float = 0.9
    top_k: int = 50
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int = 100
    stop: tuple[str, ...] = ()
    choices: tuple[tuple[int, ...], ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logprobs: int | None = None
    grammar: str | None = None
    json_schema: str | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool = False
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        _require(math.isfinite(self.temperature) and self.temperature >= 0, "temperature")
        _require(0 <= self.top_p <= 1, "top_p")
        _require(self.top_k >= 0, "top_k")
        _require(math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0, "repetition_penalty")
        _require(self.max_tokens >= 1, "max_tokens")
        _require(all(self.stop), "stop")
        _require(all(self.choices), "choices")
        _require(-2 <= self.frequency_penalty <= 2, "frequency_penalty")
        _require(-2 <= self.presence_penalty <= 2, "presence_penalty")
        _require(self.logprobs is None or 0 <= self.logprobs <= MAX_LOGPROBS, "logprobs")
        _require(sum(map(bool, (self.choices, self.grammar, self.json_schema))) <= 1, "grammar")
        _require(1 <= self.num_beams <= 10, "num_beams")
        _require(0 <= self.length_penalty <= 2, "length_penalty")
        _require(self.eos_token_id is None or self.eos_token_id >= 0, "eos_token_id")
        _require(self.pad_token_id is None or self.pad_token_id >= 0, "pad_token_id")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def draw_seed(self) -> int:
        """The seed asked for, folded into what backends take, or a fresh random one."""
        return secrets.randbelow(MAX_SEED + 1) if self.seed is None else self.seed % (MAX_SEED + 1)


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} is out of range")
