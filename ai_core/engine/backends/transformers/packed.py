"""One forward of the model over the next tokens of many sequences, each with its own length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ai_core.engine.backends.transformers import attention
from ai_core.engine.backends.transformers.attention import PackedBatch, Row
from ai_core.engine.backends.transformers.kv_memory import KvMemory


@dataclass(frozen=True, slots=True)
class Input:
    """The next `tokens` of `sequence`; logits are wanted after each of the last `outputs` ones."""

    sequence: int
    tokens: Sequence[int]
    outputs: int


class PackedForward:
    """Holds the keys and values of `sequences` sequences."""

    def __init__(self, model: Any, sequences: int) -> None:
        attention.register()
        self._model = model
        self.memory = KvMemory(sequences)
        self.windows: dict[int, int | None] = {}
        """What each layer was found to attend to, see PackedBatch."""

    def run(self, inputs: Sequence[Input]) -> list[np.ndarray]:
        """For each input its logits (outputs, vocabulary), float32. Memory is as before where it raises."""
        with torch.inference_mode():
            self.memory.settle(each.sequence for each in inputs)
        order = sorted(range(len(inputs)), key=lambda place: self.memory[inputs[place].sequence].beginning)
        rows = self._rows([inputs[place] for place in order])
        packed = PackedBatch(rows)
        with torch.inference_mode(), attending_with(self._model, attention.NAME):
            logits = _forward(self._model, packed, [inputs[place] for place in order])
        for row in rows:
            row.memory.commit(row.stop - row.start)
        self.windows = packed.windows
        return [logits[order.index(place)] for place in range(len(inputs))]

    def _rows(self, inputs: Sequence[Input]) -> list[Row]:
        rows, start = [], 0
        for each in inputs:
            memory = self.memory[each.sequence]
            rows.append(Row(memory, start, start + len(each.tokens), memory.length))
            start += len(each.tokens)
        return rows


@contextmanager
def attending_with(model: Any, name: str) -> Iterator[None]:
    """The model's layers look the function up by the configuration's name for it, at each forward."""
    before = model.config._attn_implementation
    model.config._attn_implementation = name
    try:
        yield
    finally:
        model.config._attn_implementation = before


def _forward(model: Any, packed: PackedBatch, inputs: Sequence[Input]) -> list[np.ndarray]:
    tokens = [token for each in inputs for token in each.tokens]
    positions = [row.position + place for row in packed.rows for place in range(row.stop - row.start)]
    wanted = [
        place
        for row, each in zip(packed.rows, inputs, strict=True)
        for place in range(row.stop - each.outputs, row.stop)
    ]
    output = model(
        input_ids=torch.tensor([tokens], device=model.device),
        position_ids=torch.tensor([positions], device=model.device),
        use_cache=False,
        logits_to_keep=torch.tensor(wanted, dtype=torch.long, device=model.device),
        packed=packed,
    )
    logits = output.logits[0].float().cpu().numpy()
    return np.split(logits, np.cumsum([each.outputs for each in inputs])[:-1])
