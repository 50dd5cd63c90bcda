"""GGUF files for tests of what is read from them: any metadata, weights of any shape and type."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np

from tests.ai_core.engine.tiny_model import add_tokenizer


def write_gguf(path: Path, *, architecture: str = "llama", kind: str | None = None, weights: int = 64) -> Path:
    """A file with one tensor of `weights` numbers, that no program could run."""
    writer = gguf.GGUFWriter(path, architecture)
    if kind is not None:
        writer.add_type(kind)
    writer.add_uint32("llama.block_count", 1)
    writer.add_tensor("token_embd.weight", np.ones(weights, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_f16_model(path: Path, *, layers: int, width: int = 256, inner: int = 512) -> Path:
    """A model that runs, with weights in f16, of a width that the K quantisations like."""
    heads, random = width // 64, np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(64)
    writer.add_layer_norm_rms_eps(1e-5)
    vocabulary = 264
    writer.add_vocab_size(vocabulary)
    add_tokenizer(writer, 257)
    shapes = {"attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width)}
    shapes |= {"attn_output": (width, width), "ffn_gate": (inner, width), "ffn_up": (inner, width)}
    shapes |= {"ffn_down": (width, inner)}
    names = {"token_embd": (vocabulary, width), "output": (vocabulary, width)}
    names |= {f"blk.{layer}.{name}": shape for layer in range(layers) for name, shape in shapes.items()}
    for name, shape in names.items():
        matrix = random.normal(0, 1 / np.sqrt(shape[1]), shape)
        writer.add_tensor(f"{name}.weight", matrix.astype(np.float16))
    norms = [f"blk.{layer}.{name}" for layer in range(layers) for name in ("attn_norm", "ffn_norm")]
    for name in ("output_norm", *norms):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def split_in_two(model: Path, folder: Path) -> tuple[Path, Path]:
    """Two files named as the parts of a split model; each is a whole one, which the format detection does not mind."""
    parts = (folder / "model-00001-of-00002.gguf", folder / "model-00002-of-00002.gguf")
    for part in parts:
        shutil.copy(model, part)
    return parts
