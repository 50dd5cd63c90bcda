"""Attention of many sequences in one forward without padding: their tokens lie one behind the other.

Matrix products see all tokens of the batch at once. Here each sequence attends to its own past: a prefix that several
share is read once for all of them, tails one by one, and the parts are put together by their softmax weights (as in
"FlashAttention", https://arxiv.org/abs/2205.14135, section 3.1, and "Hydragen", https://arxiv.org/abs/2402.05099).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ai_core.engine.backends.transformers.kv_memory import Layer, SequenceMemory, Span

NAME = "packed_sequences"
"""Under which transformers knows this attention."""


class Unsupported(Exception):
    """The model's attention is not plain softmax over the past, or over a window of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens `start` to `stop` of the batch are the next ones of a sequence, from `position` on."""

    memory: SequenceMemory
    start: int
    stop: int
    position: int


@dataclass(slots=True)
class PackedBatch:
    """Rows that share a span must be neighbours. `windows` gathers what the layers were found to attend to: by their
    number, None for everything."""

    rows: list[Row]
    windows: dict[int, int | None] = field(default_factory=dict)
    shared: list[tuple[Span, slice]] = field(default_factory=list)
    """Spans with the tokens that attend to them."""

    def __post_init__(self) -> None:
        tokens: dict[tuple[int, int], tuple[Span, slice]] = {}
        for row in self.rows:
            for span in row.memory.spans:
                _, before = tokens.get(span.key, (span, slice(row.start, row.start)))
                assert before.stop == row.start, "rows that share a span are apart"
                tokens[span.key] = span, slice(before.start, row.stop)
        self.shared = list(tokens.values())

    def reaches_over(self, window: int) -> bool:
        """Whether some token has more than `window` positions up to itself."""
        return any(row.position + row.stop - row.start > window for row in self.rows)


def register() -> None:
    import transformers

    transformers.AttentionInterface.register(NAME, attend)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,  # noqa: ARG001
    scaling: float | None = None,
    packed: PackedBatch | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Called by each layer of the model: `query` (1, heads, tokens, width); the result (1, tokens, heads, width)."""
    changed = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    if packed is None or changed or key.shape != value.shape:
        raise Unsupported(f"attention with {', '.join(changed) or 'unknown inputs'}")
    packed.windows[module.layer_idx] = sliding_window
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    heads = key.shape[1]  # of keys; the query's heads come in as many groups
    grouped = query.view(heads, -1, *query.shape[2:]).transpose(1, 2).contiguous()
    window = sliding_window if sliding_window and packed.reaches_over(sliding_window) else None
    tails = [_write(row, module.layer_idx, key[0], value[0]) for row in packed.rows]
    if window is None:
        result = _attend_to_all(packed, module.layer_idx, grouped, tails, scale)
    else:
        parts = zip(packed.rows, tails, strict=True)
        result = torch.cat(
            [_attend_to_window(row, module.layer_idx, grouped, tail, scale, window) for row, tail in parts], 1
        )
    return result.transpose(0, 1).reshape(1, query.shape[2], query.shape[1], -1).to(query.dtype), None


def _write(row: Row, layer: int, keys: torch.Tensor, values: torch.Tensor) -> Layer:
    return row.memory.write(layer, keys[:, row.start : row.stop], values[:, row.start : row.stop])


def _attend_to_all(
    packed: PackedBatch, layer: int, query: torch.Tensor, tails: list[Layer], scale: float
) -> torch.Tensor:
    """`query` and the result are (key heads, tokens, group, width)."""
    own = [
        _attend_to_tail(row, query[:, row.start : row.stop], tail, scale)
        for row, tail in zip(packed.rows, tails, strict=True)
    ]
    result, weight = (torch.cat(parts, 1) for parts in zip(*own, strict=True))
    result = result.float() if packed.shared else result
    for span, tokens in packed.shared:
        past = span.block.layers[layer].part(0, span.length)
        among = result[:, tokens], weight[:, tokens]
        result[:, tokens], weight[:, tokens] = merge(among, _attend_to_past(query[:, tokens], past, scale))
    return result


def _attend_to_tail(row: Row, query: torch.Tensor, tail: Layer, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What the new tokens of `row` see of its tail: everything before them, and of themselves those before."""
    new = row.stop - row.start
    if new == 1:
        return _attend_to_past(query, tail, scale)
    past = tail.keys.shape[1] - new
    own = tail.part(past, past + new)
    shape = (query.shape[0], query.shape[2], new, query.shape[3])
    result, weight = softmax_over(
        query.transpose(1, 2), own.keys[:, None].expand(shape), own.values[:, None].expand(shape), scale, causal=True
    )
    among = result.transpose(1, 2), weight.transpose(1, 2)
    return merge(among, _attend_to_past(query, tail.part(0, past), scale)) if past else among


def _attend_to_past(query: torch.Tensor, past: Layer, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Every token sees all of `past`, so tokens and groups are alike."""
    heads, tokens, group, width = query.shape
    result, weight = softmax_over(
        query.reshape(1, heads, tokens * group, width), past.keys[None], past.values[None], scale
    )
    return result.view(query.shape), weight.view(heads, tokens, group)


def _attend_to_window(
    row: Row, layer: int, query: torch.Tensor, tail: Layer, scale: float, window: int
) -> torch.Tensor:
    """Where a window cuts the past: the keys copied together, each token with its own mask."""
    first, new = max(0, row.position - window + 1), row.stop - row.start
    past = [span.block.layers[layer].part(0, span.length) for span in row.memory.spans]
    keys = torch.cat([part.keys for part in (*past, tail)], 1)[:, None, first:]
    values = torch.cat([part.values for part in (*past, tail)], 1)[:, None, first:]
    at = torch.arange(row.position, row.position + new, device=query.device)[:, None]
    seen = torch.arange(first, row.position + new, device=query.device)[None]
    mask = (seen <= at) & (seen > at - window)
    asking = query[:, row.start : row.stop].transpose(1, 2)
    expanded = (query.shape[0], query.shape[2], *keys.shape[2:])
    result = torch.nn.functional.scaled_dot_product_attention(
        asking, keys.expand(expanded), values.expand(expanded), attn_mask=mask, scale=scale
    )
    return result.transpose(1, 2)


def merge(
    one: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention over two sets of keys from attention over each, with the logarithms of their softmax sums."""
    share = torch.sigmoid(one[1] - other[1])[..., None]
    return torch.lerp(other[0].float(), one[0].float(), share), torch.logaddexp(one[1], other[1])


def softmax_over(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scale: float,
    *,
    causal: bool = False,
    fused: bool | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(query keys^T scale) values, and the logarithm of the softmax's sums; inputs (batch, heads, n, width).
    `fused`: with torch's one function for both, by default where it has it, which is on the processor."""
    if query.device.type == "cpu" if fused is None else fused:
        result = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, is_causal=causal, scale=scale
        )
        return result[0], result[1]
    scores = (query @ keys.transpose(-1, -2)).float() * scale
    if causal:
        size = scores.shape[-1]
        scores.masked_fill_(torch.ones(size, size, dtype=torch.bool, device=scores.device).triu_(1), -torch.inf)
    weight = scores.logsumexp(-1)
    return (scores - weight[..., None]).exp().to(values.dtype) @ values, weight
