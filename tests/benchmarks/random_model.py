"""A GGUF of realistic shape with random weights: `python -m tests.benchmarks.random_model --out FILE.gguf`.

Speed does not depend on what the weights hold, so no download is needed to measure it. The shape is Qwen2's, the file
is Q4_K_M as llama.cpp quantises it. The tokenizer is the demonstration model's (byte-level BPE, trained on the Code du
travail) with filler tokens up to a usual size. Answers are French words without end: every other token's logit is 0,
never the best of so many, and each word is one token that reads back as the same token. So all servers produce as many
tokens as asked for, each token is a text of its own, and a conversation sent back is the one that was computed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from ai_core.settings import EMBEDDED_MODEL

VOCABULARY = 32_768
CONTEXT = 32_768
WORD = re.compile(r"Ġ[a-z]{2,}")  # "Ġ" is a space in byte-level BPE; Qwen2's split cuts before each space
SEED = 1
# With wide embeddings and sharp attention the next word depends on the last ones and on where they stand. Without, a
# greedy answer goes round in circles of a few words, and guessing ahead from the text would look better than it is.
ATTENTION_SCALE = np.float16(2)


@dataclass(frozen=True, slots=True)
class Shape:
    """K-quants have blocks of 256 weights: widths are multiples of it."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int

    @property
    def kv_width(self) -> int:
        return self.width // self.heads * self.kv_heads

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of one layer's matrices."""
        width, kv_width, inner = self.width, self.kv_width, self.inner
        attention = {"attn_q": (width, width), "attn_k": (kv_width, width), "attn_v": (kv_width, width)}
        forward = {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
        return {**attention, "attn_output": (width, width), **forward}


SHAPES = {
    "0.02b": Shape(layers=2, width=256, heads=4, kv_heads=2, inner=512),
    "0.1b": Shape(layers=12, width=512, heads=8, kv_heads=2, inner=2048),
    "0.4b": Shape(layers=24, width=1024, heads=16, kv_heads=2, inner=4096),
    "1.5b": Shape(layers=28, width=1536, heads=12, kv_heads=2, inner=8960),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.random_model", description="a model for benchmarks"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.gguf")
    parser.add_argument("--parameters", choices=SHAPES, default="0.4b", help="default: %(default)s")
    options = parser.parse_args(arguments)
    write_random_model(options.out, SHAPES[options.parameters])
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.0f} MiB")
    return 0


def write_random_model(path: Path, shape: Shape) -> Path:
    """Write it, then quantise it. Takes about a minute and 1 GB of disk beside `path` for 0.4 B parameters."""
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        whole = Path(directory) / "f16.gguf"
        _write_f16(whole, shape)
        quantise(whole, path)
    return path


def quantise(source: Path, target: Path) -> None:
    """Q4_K_M, as the operators' models come. Raises RuntimeError when llama.cpp refuses."""
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M
    parameters.nthread = os.cpu_count() or 1
    code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(parameters))
    if code != 0:
        raise RuntimeError(f"llama.cpp could not quantise {source} (code {code})")


def _write_f16(path: Path, shape: Shape) -> None:
    writer = gguf.GGUFWriter(path, "qwen2", use_temp_file=True)
    writer.add_name("random")
    writer.add_description("random weights, to measure speed")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    words = _add_tokenizer(writer)
    for name, tensor in _weights(shape, words):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter) -> list[int]:
    """Returns the tokens that are whole words."""
    demo = gguf.GGUFReader(EMBEDDED_MODEL)

    def of_demo(key: str) -> Any:
        return demo.fields[key].contents()

    tokens: list[str] = of_demo("tokenizer.ggml.tokens")
    fillers = [f"<filler{number}>" for number in range(VOCABULARY - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens + fillers)
    writer.add_token_types(of_demo("tokenizer.ggml.token_type") + [gguf.TokenType.UNUSED] * len(fillers))
    writer.add_token_merges(of_demo("tokenizer.ggml.merges"))
    writer.add_bos_token_id(of_demo("tokenizer.ggml.bos_token_id"))
    writer.add_eos_token_id(of_demo("tokenizer.ggml.eos_token_id"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(of_demo("tokenizer.chat_template"))
    return [number for number, token in enumerate(tokens) if WORD.fullmatch(token)]


def _weights(shape: Shape, words: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(SEED)

    def matrix(rows: int, columns: int) -> np.ndarray:
        scale = np.float32(columns**-0.5)
        return np.asarray(random.standard_normal((rows, columns), dtype=np.float32) * scale, np.float16)

    output = np.zeros((VOCABULARY, shape.width), np.float16)
    output[words] = matrix(len(words), shape.width)
    yield "token_embd.weight", random.standard_normal((VOCABULARY, shape.width), dtype=np.float32).astype(np.float16)
    yield "output.weight", output
    yield "output_norm.weight", np.ones(shape.width, np.float32)
    for layer in range(shape.layers):
        for name, (rows, columns) in shape.matrices().items():
            sharper = ATTENTION_SCALE if name in ("attn_q", "attn_k") else np.float16(1)
            yield f"blk.{layer}.{name}.weight", sharper * matrix(rows, columns)
        for name in ("attn_q", "attn_k", "attn_v"):
            rows = shape.matrices()[name][0]
            yield f"blk.{layer}.{name}.bias", np.zeros(rows, np.float32)
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", np.ones(shape.width, np.float32)


if __name__ == "__main__":
    sys.exit(main())
