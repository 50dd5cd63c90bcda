"""The sequences of a model that attends to its past: computed together, and able to share what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ai_core.engine.backends.base import Chosen, Chunk, DecodeFailed
from ai_core.engine.backends.logits_sampler import LogitsSampler
from ai_core.engine.backends.transformers.packed import Input, PackedForward


class PackedSequences:
    """`vocabulary` is the number of tokens that have a meaning; the model may have logits for more."""

    def __init__(self, model: Any, count: int, vocabulary: int) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._forward = PackedForward(model, count)
        self._memory = self._forward.memory

    @property
    def cells(self) -> int:
        return self._memory.cells

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        """As in Backend, for chunks that have tokens; samplers other than LogitsSampler are left alone."""
        for chunk in chunks:
            held = self._memory[chunk.sequence].length
            if chunk.position != held:
                raise DecodeFailed(f"position {chunk.position} in a sequence of {held}")
        logits = self._forward.run([Input(chunk.sequence, chunk.tokens, _outputs(chunk)) for chunk in chunks])
        return [self._sample(chunk, rows[:, : self._vocabulary]) for chunk, rows in zip(chunks, logits, strict=True)]

    def cache(self, sequence: int, length: int, rows: int) -> Any:
        """The library's own cache with the first `length` positions of `sequence`, `rows` times."""
        import transformers

        made = transformers.DynamicCache(config=self._model.config)
        with torch.inference_mode():
            for number in range(len(made.layers)):
                parts = self._memory[sequence].layers(number)
                keys = torch.cat([part.keys for part in parts], 1)[None, :, :length]
                values = torch.cat([part.values for part in parts], 1)[None, :, :length]
                made.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return made if length else None

    def copy(self, source: int, target: int, length: int) -> None:
        with torch.inference_mode():
            self._memory.copy(source, target, length)

    def drop(self, sequence: int) -> None:
        self._memory.drop(sequence)

    def clear(self) -> None:
        self._memory.clear()

    def _sample(self, chunk: Chunk, logits: np.ndarray) -> list[Chosen]:
        """Choose token after token while the drafts are right, then forget those that were not."""
        if not isinstance(chunk.sampler, LogitsSampler):
            return []
        drafts = list(chunk.tokens[len(chunk.tokens) - chunk.drafted :])
        chosen: list[Chosen] = []
        for place, row in enumerate(logits):
            chosen += chunk.sampler.sample(row)
            if [each.token for each in chosen] != drafts[: place + 1]:
                break
        right = min(len(chosen) - 1, place)
        self._memory[chunk.sequence].cut(chunk.position + len(chunk.tokens) - chunk.drafted + right)
        return chosen


def _outputs(chunk: Chunk) -> int:
    return chunk.drafted + 1 if isinstance(chunk.sampler, LogitsSampler) else 0
