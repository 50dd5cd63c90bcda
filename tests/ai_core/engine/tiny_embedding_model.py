"""Embedding GGUF files with random weights: a BERT with a WordPiece tokenizer, a decoder that pools its last token."""

from __future__ import annotations

import string
from pathlib import Path

import gguf
import numpy as np

from tests.ai_core.engine import tiny_model

WIDTH, INNER, HEADS, LAYERS, CONTEXT = 64, 128, 4, 2, 128
PAD, UNKNOWN, CLS, SEP = range(4)
LETTERS = string.ascii_lowercase + string.digits + string.punctuation
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *("▁" + letter for letter in LETTERS), *LETTERS]
"""A letter is a token of its own, one at the start of a word another: texts have letters + 2 tokens."""


def write_tiny_bert(
    path: Path, *, pooling: gguf.PoolingType = gguf.PoolingType.MEAN, context: int = CONTEXT, layers: int = LAYERS
) -> Path:
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    writer.add_layer_norm_eps(1e-12)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    _add_word_pieces(writer)
    random = np.random.default_rng(7)
    weights = _norm("token_embd_norm") | {
        "token_embd.weight": random.normal(0, 1, (len(TOKENS), WIDTH)),
        "token_types.weight": random.normal(0, 0.1, (2, WIDTH)),
        "position_embd.weight": random.normal(0, 1, (context, WIDTH)),
    }
    for layer in range(layers):
        weights |= _bert_layer(random, f"blk.{layer}")
    return _write(writer, weights, context, layers)


def write_tiny_decoder(path: Path, *, pooling: gguf.PoolingType | None = gguf.PoolingType.LAST) -> Path:
    """Shaped like a generating model; the tokenizer ends every text with its end token, as Qwen3-Embedding's does."""
    writer = gguf.GGUFWriter(path, "llama")
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(tiny_model.VOCABULARY)
    tiny_model.add_tokenizer(writer, tiny_model.IM_END)
    writer.add_add_eos_token(True)
    random = np.random.default_rng(7)
    weights = {
        "token_embd.weight": random.normal(0, 1, (tiny_model.VOCABULARY, WIDTH)),
        "output_norm.weight": np.ones(WIDTH),
    }
    for layer in range(LAYERS):
        shapes = {f"attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
        weights |= {f"blk.{layer}.{name}.weight": tiny_model.matrix(random, *shape) for name, shape in shapes.items()}
        weights |= {f"blk.{layer}.{norm}.weight": np.ones(WIDTH) for norm in ("attn_norm", "ffn_norm")}
    return _write(writer, weights, CONTEXT, LAYERS)


def _bert_layer(random: np.random.Generator, name: str) -> dict[str, np.ndarray]:
    shapes = {f"attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
    shapes |= {"ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
    weights = _norm(f"{name}.attn_output_norm") | _norm(f"{name}.layer_output_norm")
    for part, shape in shapes.items():
        weights[f"{name}.{part}.weight"] = tiny_model.matrix(random, *shape)
        weights[f"{name}.{part}.bias"] = random.normal(0, 0.1, shape[0])
    return weights


def _norm(name: str) -> dict[str, np.ndarray]:
    return {f"{name}.weight": np.ones(WIDTH), f"{name}.bias": np.zeros(WIDTH)}


def _add_word_pieces(writer: gguf.GGUFWriter) -> None:
    writer.add_token_type_count(2)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.CONTROL] * 4 + [gguf.TokenType.NORMAL] * (len(TOKENS) - 4))
    writer.add_pad_token_id(PAD)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(CLS)
    writer.add_sep_token_id(SEP)


def _write(writer: gguf.GGUFWriter, weights: dict[str, np.ndarray], context: int, layers: int) -> Path:
    writer.add_name("tiny")
    writer.add_description("random weights, for tests")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    for name, tensor in weights.items():
        writer.add_tensor(name, tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert writer.path is not None
    return Path(writer.path)
