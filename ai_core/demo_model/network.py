"""A small decoder shaped as Qwen2 (biases on query, key and value; tied embeddings), so that llama.cpp runs it.

Copying from the prompt is the ability that matters, and plain training finds it late. `plant` therefore starts the
first two layers as a copying circuit: layer 0 looks one, two and three tokens back, which needs only biases under
rotary positions; layer 1 looks for the place where the last tokens occurred before and reads what followed.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    vocabulary: int = 8192
    width: int = 320
    layers: int = 6
    heads: int = 5
    feed_forward: int = 640
    context: int = 2048
    rope_base: float = 1_000_000.0
    epsilon: float = 1e-6

    @property
    def head(self) -> int:
        return self.width // self.heads


class Norm(nn.Module):  # type: ignore[misc,unused-ignore]
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.epsilon)


class Attention(nn.Module):  # type: ignore[misc,unused-ignore]
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head = shape.heads, shape.head
        self.q = nn.Linear(shape.width, shape.width)
        self.k = nn.Linear(shape.width, shape.width)
        self.v = nn.Linear(shape.width, shape.width)
        self.o = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            project(x).view(batch, length, self.heads, self.head).transpose(1, 2)
            for project in (self.q, self.k, self.v)
        )
        mixed = functional.scaled_dot_product_attention(
            rotate(q, rotation), rotate(k, rotation), v, attn_mask=mask, is_causal=mask is None
        )
        out: Tensor = self.o(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class FeedForward(nn.Module):  # type: ignore[misc,unused-ignore]
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return out


class Layer(nn.Module):  # type: ignore[misc,unused-ignore]
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm, self.attention = Norm(shape), Attention(shape)
        self.feed_forward_norm, self.feed_forward = Norm(shape), FeedForward(shape)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation, mask)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Network(nn.Module):  # type: ignore[misc,unused-ignore]
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)

    def forward(self, tokens: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Hidden states (batch, length, width). `mask` is True where a row may look at a column."""
        if positions is None:
            positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
        x = self.embedding(tokens)
        rotation = rotations(positions, self.shape, torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype)
        for layer in self.layers:
            x = layer(x, rotation, mask)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.embedding.weight)


def frequencies(shape: Shape) -> Tensor:
    half = shape.head // 2
    return shape.rope_base ** (-torch.arange(half, dtype=torch.float32) / half)


def rotations(positions: Tensor, shape: Shape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    angles = positions[:, None, :, None].float() * frequencies(shape)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


PREVIOUS_STRENGTH = 7.0
MATCH_STRENGTH = 2.0
FAST_PAIRS = 8


def plant(network: Network, tokens: list[str], generator: torch.Generator) -> None:
    """Ordinary small random weights everywhere, then the copying circuit in layers 0 and 1 (see the module's text).

    The residual stream is cut into as many orthogonal parts as there are heads. Tokens are written in parts 0 and 4;
    parts 1 to 3 receive the tokens one, two and three places back.
    """
    shape = network.shape
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2:
            gain = 0.5 / math.sqrt(2 * shape.layers) if name.endswith(("o.weight", "down.weight")) else 0.5
            nn.init.normal_(parameter, 0.0, gain / math.sqrt(parameter.shape[1]), generator=generator)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    random = torch.randn(shape.width, shape.width, generator=generator)
    parts = list(torch.linalg.qr(random)[0].T.split(shape.head))
    with torch.no_grad():
        _plant_embeddings(network, tokens, parts, generator)
        for back in (1, 2, 3):
            _plant_look_back(network.layers[0].attention, shape, back - 1, back, parts)
        for head in (0, 1, 2):
            _plant_match(network.layers[1].attention, shape, head, parts, generator)


def _plant_embeddings(network: Network, tokens: list[str], parts: list[Tensor], generator: torch.Generator) -> None:
    basis = torch.cat([parts[0], parts[4]])
    codes = spelling_codes(tokens, basis.shape[0], generator)
    rest = torch.randn(len(tokens), network.shape.width, generator=generator)
    network.embedding.weight.copy_(0.05 * (codes @ basis + 0.3 * rest))


def spelling_codes(tokens: list[str], width: int, generator: torch.Generator) -> Tensor:
    """Random codes in which tokens that share letters (" Congé", "congés") are near each other, as words are."""
    own = torch.randn(len(tokens), width, generator=generator)
    pieces = [_letter_groups(token) for token in tokens]
    table = {piece: at for at, piece in enumerate(sorted(set().union(*pieces)))}
    vectors = torch.randn(len(table), width, generator=generator)
    for row, groups in enumerate(pieces):
        if groups:
            shared = vectors[[table[group] for group in sorted(groups)]].sum(0)
            own[row] = 0.75 * own[row] + 0.66 * shared * math.sqrt(width) / shared.norm()
    return own


def _letter_groups(token: str) -> set[str]:
    letters = "".join(c for c in unicodedata.normalize("NFD", token.lower()) if c.isalpha())
    if len(letters) < 3:
        return set()
    return {letters[at : at + size] for size in (3, 4, 5) for at in range(len(letters) - size + 1)} | {letters}


def _plant_look_back(attention: Attention, shape: Shape, head: int, back: int, parts: list[Tensor]) -> None:
    rows = slice(head * shape.head, (head + 1) * shape.head)
    angles = back * frequencies(shape)[:FAST_PAIRS]
    half = shape.head // 2
    for project in (attention.q, attention.k):
        project.weight[rows] *= 0.1
    attention.q.bias[rows][:FAST_PAIRS] = PREVIOUS_STRENGTH
    attention.k.bias[rows][:FAST_PAIRS] = PREVIOUS_STRENGTH * angles.cos()
    attention.k.bias[rows][half : half + FAST_PAIRS] = PREVIOUS_STRENGTH * angles.sin()
    attention.v.weight[rows] = parts[0]
    attention.o.weight[:, rows] = parts[back].T * 0.08


def _plant_match(
    attention: Attention, shape: Shape, head: int, parts: list[Tensor], generator: torch.Generator
) -> None:
    rows = slice(head * shape.head, (head + 1) * shape.head)
    half, quarter = shape.head // 2, shape.head // 4
    # Only the slowly turning pairs: what matches must match at any distance.
    slow = torch.cat([torch.arange(quarter, half), torch.arange(half + quarter, shape.head)])
    query, key = torch.zeros(shape.head, shape.width), torch.zeros(shape.head, shape.width)
    at = 0
    for step, count in enumerate((16, 10, 6)):
        code = torch.linalg.qr(torch.randn(shape.head, count, generator=generator))[0].T * MATCH_STRENGTH
        query[slow[at : at + count]] = code @ parts[step]
        key[slow[at : at + count]] = code @ parts[step + 1]
        at += count
    attention.q.weight[rows], attention.k.weight[rows] = query, key
    read = parts[0] if head % 2 == 0 else parts[4]
    attention.v.weight[rows] = read
    attention.o.weight[:, rows] = read.T * 0.1
