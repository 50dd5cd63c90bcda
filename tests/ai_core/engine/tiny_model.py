"""GGUF files of a few hundred kilobytes with random weights and a byte-level tokenizer."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

BYTES = 256
IM_START, IM_END = BYTES, BYTES + 1
VOCABULARY = BYTES + 8  # special tokens last; a multiple of eight
LAYERS, WIDTH, HEADS, KV_HEADS, INNER, CONTEXT = 2, 64, 4, 2, 128, 2048


def write_tiny_model(path: Path, *, end_token: int = IM_END, seed: int = 5) -> Path:
    """`end_token` ends an answer. The default one never comes: its logit is 0, far below the best."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    random = np.random.default_rng(seed)
    weights = outer_weights(random)
    kv_width = WIDTH // HEADS * KV_HEADS
    for layer in range(LAYERS):
        shapes = {"attn_q": (WIDTH, WIDTH), "attn_k": (kv_width, WIDTH), "attn_v": (kv_width, WIDTH)}
        shapes |= {"attn_output": (WIDTH, WIDTH), "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH)}
        shapes |= {"ffn_down": (WIDTH, INNER)}
        weights |= {f"blk.{layer}.{name}.weight": matrix(random, *shape) for name, shape in shapes.items()}
        weights |= {f"blk.{layer}.{norm}.weight": np.ones(WIDTH) for norm in ("attn_norm", "ffn_norm")}
    return write(writer, weights, end_token)


def write_tiny_adapter(
    path: Path, *, seed: int, rank: int = 4, architecture: str = "llama", width: int = WIDTH
) -> Path:
    """A LoRA over the first layer's query and the output matrix of write_tiny_model."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 2.0 * rank)
    random = np.random.default_rng(seed)
    for name, rows in (("blk.0.attn_q", width), ("output", VOCABULARY)):
        writer.add_tensor(f"{name}.weight.lora_a", matrix(random, rank, width).astype(np.float32))
        answers = matrix(random, rows, rank)
        answers[BYTES:] = 0  # as in the model, control tokens never come
        writer.add_tensor(f"{name}.weight.lora_b", answers.astype(np.float32))
    return finish(writer)


def write_tiny_mamba(path: Path) -> Path:
    """A recurrent model: its state cannot be copied in part."""
    inner, state, rank, kernel = 2 * WIDTH, 16, 4, 4
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_ssm_conv_kernel(kernel)
    random = np.random.default_rng(5)
    weights = outer_weights(random)
    for layer in range(LAYERS):
        shapes = {"ssm_in": (2 * inner, WIDTH), "ssm_conv1d": (inner, kernel), "ssm_x": (rank + 2 * state, inner)}
        shapes |= {"ssm_dt": (inner, rank), "ssm_out": (WIDTH, inner)}
        weights |= {f"blk.{layer}.{name}.weight": matrix(random, *shape) for name, shape in shapes.items()}
        weights |= {f"blk.{layer}.{name}.bias": np.zeros(inner) for name in ("ssm_conv1d", "ssm_dt")}
        weights[f"blk.{layer}.attn_norm.weight"] = np.ones(WIDTH)
        weights[f"blk.{layer}.ssm_a"] = -np.exp(random.normal(0, 1, (inner, state)))
        weights[f"blk.{layer}.ssm_d"] = np.ones(inner)
    return write(writer, weights, IM_END)


def matrix(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return random.normal(0, 1.5 / np.sqrt(columns), (rows, columns))


def outer_weights(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Everything outside the layers. Answers are ASCII, which tests can turn back into tokens: the logit of all other
    tokens is 0, never the best of so many."""
    output = 3 * matrix(random, VOCABULARY, WIDTH)
    output[[*range(ord(" ")), *range(ord("~") + 1, VOCABULARY)]] = 0
    embedding = matrix(random, VOCABULARY, WIDTH)
    return {"token_embd.weight": embedding, "output_norm.weight": np.ones(WIDTH), "output.weight": output}


def write(writer: gguf.GGUFWriter, weights: dict[str, np.ndarray], end_token: int) -> Path:
    """Add what every model here has, then write the file."""
    writer.add_name("tiny")
    writer.add_description("random weights, for tests")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    add_tokenizer(writer, end_token)
    for name, tensor in weights.items():
        writer.add_tensor(name, tensor.astype(np.float32))
    return finish(writer)


def finish(writer: gguf.GGUFWriter) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert writer.path is not None
    return Path(writer.path)


def add_tokenizer(writer: gguf.GGUFWriter, end_token: int) -> None:
    """One token a byte, and a few control tokens."""
    special = ["<|im_start|>", "<|im_end|>"] + [f"<|spare{n}|>" for n in range(VOCABULARY - BYTES - 2)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(byte_letters() + special)
    writer.add_token_types([gguf.TokenType.NORMAL] * BYTES + [gguf.TokenType.CONTROL] * len(special))
    writer.add_token_merges(["Ā ā"])  # never applies, but an empty list is refused
    writer.add_bos_token_id(IM_START)
    writer.add_eos_token_id(end_token)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")


def byte_letters() -> list[str]:
    """GPT-2's printable letter for each byte, in the order of the bytes: token number = byte."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = (letter for letter in range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(BYTES)]
