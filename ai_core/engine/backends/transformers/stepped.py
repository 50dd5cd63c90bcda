"""The sequences of any other model (recurrent, or with a cache of its own kind): each runs through the library's
generate() by itself, which knows how. They take turns and share nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ai_core.engine.backends.base import Chosen, Chunk, DecodeFailed
from ai_core.engine.backends.logits_sampler import LogitsSampler
from ai_core.engine.backends.transformers.generation import Generation


class SteppedSequences:
    """A prompt is collected chunk by chunk and read at once, when its sampler comes: few such models can read it in
    parts. Drafts are left out for the same reason. `vocabulary` as for PackedSequences."""

    def __init__(self, model: Any, vocabulary: int, context_length: int) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._context_length = context_length
        self._sequences: dict[int, _Sequence] = {}

    @property
    def cells(self) -> int:
        return sum(len(sequence.tokens) for sequence in self._sequences.values())

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        """As in Backend, for chunks that have tokens; samplers other than LogitsSampler are left alone."""
        return [self._decode(chunk) for chunk in chunks]

    def cache(self, sequence: int, length: int, rows: int) -> Any:  # noqa: ARG002
        """Nothing that beams could go on from: they read their prompt themselves."""
        return None

    def copy(self, source: int, target: int, length: int) -> None:  # noqa: ARG002 - never asked for: nothing is pinned
        raise DecodeFailed("this model's memory cannot be copied")

    def drop(self, sequence: int) -> None:
        dropped = self._sequences.pop(sequence, None)
        if dropped is not None:
            dropped.abandon()

    def clear(self) -> None:
        for sequence in list(self._sequences):
            self.drop(sequence)

    def _decode(self, chunk: Chunk) -> list[Chosen]:
        sequence = self._sequences.setdefault(chunk.sequence, _Sequence())
        if chunk.position != len(sequence.tokens):
            raise DecodeFailed(f"position {chunk.position} in a sequence of {len(sequence.tokens)}")
        sequence.tokens += chunk.tokens[: len(chunk.tokens) - chunk.drafted]
        if not isinstance(chunk.sampler, LogitsSampler):
            return []
        if sequence.generation is None:
            sequence.start(self._model, chunk.sampler, self._vocabulary, self._context_length)
        return sequence.next()


class _Sequence:
    """`tokens` are those that the engine has sent."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.generation: Generation | None = None
        self._read = 0
        self._choosing: _Choosing

    def start(self, model: Any, sampler: LogitsSampler, vocabulary: int, context_length: int) -> None:
        prompt = torch.tensor([self.tokens], device=model.device)
        self._read = len(self.tokens) - 1  # the step that reads the prompt chooses
        self._choosing = _Choosing(sampler, vocabulary)
        room = context_length - len(self.tokens) + 1
        self.generation = Generation(
            lambda pause: _generate(model, prompt, room, self._choosing, pause), seed=0, name="generation"
        )

    def next(self) -> list[Chosen]:
        """Compute up to the next choice: one step for each token that the engine sent since the last."""
        assert self.generation is not None
        while self._read < len(self.tokens):
            self.generation.step()
            self._read += 1
        return self._choosing.chosen

    def abandon(self) -> None:
        if self.generation is not None:
            self.generation.abandon()


class _Choosing:
    """A logits processor that leaves the greedy search one token: the sampler's choice. What follows that for certain
    is not computed but taken, too."""

    def __init__(self, sampler: LogitsSampler, vocabulary: int) -> None:
        self._sampler = sampler
        self._vocabulary = vocabulary
        self._certain: deque[int] = deque()
        self.chosen: list[Chosen] = []

    def __call__(self, _tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self._certain:
            self.chosen = self._sampler.sample(scores[0, : self._vocabulary].float().cpu().numpy())
            self._certain.extend(each.token for each in self.chosen)
        only = torch.full_like(scores, -torch.inf)
        only[:, self._certain.popleft()] = 0
        return only


def _generate(
    model: Any, prompt: torch.Tensor, room: int, choosing: Callable[..., torch.Tensor], pause: Callable[..., Any]
) -> None:
    import transformers

    model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        generation_config=transformers.GenerationConfig(do_sample=False, max_new_tokens=room, pad_token_id=0),
        logits_processor=[choosing],
        stopping_criteria=[pause],
    )
