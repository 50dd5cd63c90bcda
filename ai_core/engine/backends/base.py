"""What the engine needs of a library that computes: sequences in one memory, and batches of token chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ai_core.engine.sampling import SamplingParameters
from ai_core.engine.speculation import StepCosts


class BackendError(Exception):
    """The model cannot be loaded, or not used any more."""


class DecodeFailed(Exception):
    """A batch failed; what its sequences hold in memory is unknown."""


class OutOfCells(DecodeFailed):
    """No room for the batch in the KV cache; memory is as it was before the call."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """`context_length` in tokens for one sequence; `size_bytes` are the weights; `quantization` as llama.cpp says."""

    name: str
    description: str
    context_length: int
    slots: int
    chat_template: str | None
    bos_token: str
    eos_token: str
    architecture: str
    size_bytes: int
    quantization: str
    honours: frozenset[str]
    """Fields of SamplingParameters that have their effect here; others must keep their defaults."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters that a request may name."""
    quotes_only: bool = False
    """The file says of itself that it should answer from texts by quoting them only."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the scheduler must respect. Sequences 0 .. slots-1 answer requests; the `pinned` ones after them hold what
    later prompts may share (0 where the model's memory cannot be copied), `held` tokens at most, each in full. All of
    them share `cells` token positions. A batch has at most `outputs` rows after which a token is chosen. `separate`:
    each slot has room for its longest answer whatever the others do, and is computed apart from them where they have
    different numbers of tokens."""

    slots: int
    pinned: int
    context_length: int
    cells: int
    batch_tokens: int
    vocabulary: int
    outputs: int
    held: int
    separate: bool = False


class Sampler(Protocol):
    """Chooses the tokens of one request and remembers what it chose. Opaque to the engine."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive tokens of one sequence, to compute from `position` on. A sampler asks for the token after them.

    The last `drafted` tokens are guesses at what the sampler will choose. All chunks of a batch name the same
    `adapter` (None: the bare model). Without tokens it asks a sampler that had not chosen yet to go on."""

    sequence: int
    position: int
    tokens: Sequence[int]
    sampler: Sampler | None
    drafted: int = 0
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token that a sampler chose; where asked for, its natural log-probability and the `top` tokens of that place,
    likeliest first, before any of the request's own filters."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Backend(Protocol):
    """Everything from `decode` on is called by the engine's thread only; the rest from any thread."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def costs(self) -> StepCosts | None:
        """What a step costs by its size; None where drafts are not possible, or not known to pay."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Tokens of `text`; control tokens written in it are recognised only with `special`. Adds none of its own."""

    def piece(self, token: int) -> bytes:
        """The bytes of `token`, maybe part of a character; empty for control tokens."""

    def is_end(self, token: int) -> bool:
        """Whether the model ends its answer with `token`."""

    def sampler(self, sampling: SamplingParameters, prompt: Sequence[int]) -> Sampler: ...

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        """Compute the chunks in one batch; for each one the tokens chosen after it. None without a sampler, or while
        the sampler needs more steps (beams); several where drafts were right or what follows is certain. Of drafts that
        were refused nothing stays in memory. Raises OutOfCells or DecodeFailed."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Let `target` share the first `length` positions of `source`."""

    def drop(self, sequence: int) -> None:
        """Forget `sequence`; positions that it shared stay with the others."""

    def clear(self) -> None:
        """Forget every sequence."""

    def close(self) -> None:
        """Give the memory back. The backend is unusable afterwards."""
