"""Attention of packed sequences against the library function, sequence by sequence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ai_core.engine.backends.transformers.attention import PackedBatch, Row, Unsupported, attend, merge, softmax_over
from ai_core.engine.backends.transformers.kv_memory import KvMemory

HEADS, KEY_HEADS, WIDTH, SCALE = 6, 2, 8, 0.3
LAYER = SimpleNamespace(layer_idx=0)


def plain(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int | None) -> torch.Tensor:
    """The last tokens of one sequence, (tokens, heads, width), attend to its (tokens, key heads, width)."""
    total, new = keys.shape[0], query.shape[0]
    at, seen = torch.arange(total - new, total)[:, None], torch.arange(total)[None]
    mask = (seen <= at) & (seen > at - (window or total + 1))
    keys, values = (part.repeat_interleave(HEADS // KEY_HEADS, 1).transpose(0, 1) for part in (keys, values))
    return torch.nn.functional.scaled_dot_product_attention(
        query.transpose(0, 1), keys, values, attn_mask=mask, scale=SCALE
    ).transpose(0, 1)


def step(memory: KvMemory, lengths: dict[int, int], window: int | None) -> dict[int, tuple[torch.Tensor, ...]]:
    """New random tokens of some sequences in one batch; of each its query, keys, values and result."""
    lengths = {sequence: lengths[sequence] for sequence in sorted(lengths, key=lambda each: memory[each].beginning)}
    rows, start = [], 0
    for sequence, length in lengths.items():
        rows.append(Row(memory[sequence], start, start + length, memory[sequence].length))
        start += length
    query, keys, values = (torch.randn(1, heads, start, WIDTH) for heads in (HEADS, KEY_HEADS, KEY_HEADS))
    batch = PackedBatch(rows)
    result, _ = attend(LAYER, query, keys, values, None, scaling=SCALE, packed=batch, sliding_window=window)
    for row in rows:
        row.memory.commit(row.stop - row.start)
    tensors = [*(tensor[0].transpose(0, 1) for tensor in (query, keys, values)), result[0]]
    places = zip(lengths, rows, strict=True)
    return {sequence: tuple(tensor[row.start : row.stop] for tensor in tensors) for sequence, row in places}


@pytest.mark.parametrize("window", [None, 7, 100])
def test_every_sequence_attends_to_its_own_past_alone(window: int | None) -> None:
    torch.manual_seed(0)
    memory = KvMemory(5)
    past: dict[int, tuple[torch.Tensor, torch.Tensor]] = {n: (torch.zeros(0, KEY_HEADS, WIDTH),) * 2 for n in range(5)}
    batches: list[dict[int, int]] = [
        {0: 12},
        {1: 1, 2: 3, 0: 5},
        {0: 1, 1: 4, 2: 1, 3: 2},
        {4: 1, 1: 1, 2: 2, 0: 1, 3: 9},
    ]
    copies = {0: (0, 1, 9), 1: (1, 3, 6), 2: (3, 4, 8)}
    for number, batch in enumerate(batches):
        for sequence, (query, keys, values, result) in step(memory, batch, window).items():
            held = past[sequence]
            past[sequence] = torch.cat([held[0], keys]), torch.cat([held[1], values])
            torch.testing.assert_close(result, plain(query, *past[sequence], window))
        if number in copies:
            source, target, length = copies[number]
            memory.copy(source, target, length)
            past[target] = past[source][0][:length], past[source][1][:length]


def test_parts_put_together_are_the_whole() -> None:
    torch.manual_seed(1)
    query, keys, values = torch.randn(1, 2, 5, 8), torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 8)
    whole = softmax_over(query, keys, values, SCALE)
    parts = [softmax_over(query, keys[:, :, part], values[:, :, part], SCALE) for part in (slice(0, 4), slice(4, 9))]
    for merged, expected in zip(merge(*parts), whole, strict=True):
        torch.testing.assert_close(merged, expected)


@pytest.mark.parametrize("causal", [False, True])
def test_where_there_is_no_fused_attention_the_formula_gives_the_same(causal: bool) -> None:
    torch.manual_seed(2)
    query, keys, values = (torch.randn(1, 2, 6, 8) for _ in range(3))
    by_formula = softmax_over(query, keys, values, SCALE, causal=causal, fused=False)
    for ours, expected in zip(by_formula, softmax_over(query, keys, values, SCALE, causal=causal), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("other", ["softcap", "s_aux", "position_bias"])
def test_attention_of_another_kind_is_not_taken_for_this_one(other: str) -> None:
    query = torch.randn(1, HEADS, 1, WIDTH)
    keys = torch.randn(1, KEY_HEADS, 1, WIDTH)
    batch = PackedBatch([Row(KvMemory(1)[0], 0, 1, 0)])
    with pytest.raises(Unsupported, match=other):
        attend(LAYER, query, keys, keys, None, None, batch, None, **{other: 1.0})
