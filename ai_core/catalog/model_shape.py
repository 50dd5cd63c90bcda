"""The sizes of a model that decide what memory its answers take, from a GGUF header or the Hub's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_core.catalog.gguf_header import GgufHeader

NESTED = ("text_config", "llm_config", "language_config")  # where models of several senses keep the language part


@dataclass(frozen=True, slots=True)
class ModelShape:
    """`cached_values` are the numbers that one token leaves in the KV cache, all layers together; `state_values` are
    those of one sequence in a recurrent model. Unknown sizes are 0."""

    layers: int
    width: int
    feed_forward: int
    vocabulary: int
    context_length: int
    cached_values: int
    state_values: int = 0

    @classmethod
    def of_gguf(cls, header: GgufHeader) -> ModelShape:
        """From the metadata that llama.cpp itself reads (llama-arch.cpp names the keys)."""
        width, layers = _int(header.of_architecture("embedding_length")), _int(header.of_architecture("block_count"))
        heads = _for_layers(header.of_architecture("attention.head_count"), layers)
        kv_heads = _for_layers(header.of_architecture("attention.head_count_kv"), layers) or heads
        most_heads = max(heads, default=0)
        head = width // most_heads if most_heads else 0
        per_head = _int(header.of_architecture("attention.key_length"), head)
        per_head += _int(header.of_architecture("attention.value_length"), head)
        inner = _int(header.of_architecture("ssm.inner_size"))
        kernel = _int(header.of_architecture("ssm.conv_kernel"), 1)
        state = inner * (_int(header.of_architecture("ssm.state_size")) + kernel - 1)
        return cls(
            layers=layers,
            width=width,
            feed_forward=max(_for_layers(header.of_architecture("feed_forward_length"), layers), default=0),
            vocabulary=header.lengths.get("tokenizer.ggml.tokens", 0),
            context_length=_int(header.of_architecture("context_length")),
            cached_values=sum(kv_heads) * per_head,
            state_values=layers * state,
        )

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> ModelShape:
        """From a config.json of transformers, in the names of its model families."""
        config = next((config[name] for name in NESTED if isinstance(config.get(name), dict)), config)
        width = _first(config, "hidden_size", "n_embd", "d_model", "dim")
        layers = _first(config, "num_hidden_layers", "n_layer", "decoder_layers", "num_layers", "n_layers")
        heads = _first(config, "num_attention_heads", "n_head", "decoder_attention_heads", "n_heads")
        head = _first(config, "head_dim") or (width // heads if heads else 0)
        kv_heads = _first(config, "num_key_value_heads") or heads
        return cls(
            layers=layers,
            width=width,
            feed_forward=_first(config, "intermediate_size", "n_inner", "decoder_ffn_dim", "ffn_dim") or 4 * width,
            vocabulary=_first(config, "vocab_size"),
            context_length=_first(config, "max_position_embeddings", "n_positions", "max_target_positions", "n_ctx"),
            cached_values=2 * layers * kv_heads * head,
        )


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((config[name] for name in names if _int(config.get(name))), 0)


def _int(value: object, default: int = 0) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _for_layers(value: object, layers: int) -> list[int]:
    """One number for each layer; files give one for all where they are the same."""
    if isinstance(value, list):
        return [_int(item) for item in value]
    return [_int(value)] * layers if isinstance(value, int) else []
