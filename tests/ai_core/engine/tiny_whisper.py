"""Whisper-shaped folders with random weights: two seconds of sound a window, one token a byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.ai_core.engine.tiny_model import byte_letters

END, START = "<|endoftext|>", "<|startoftranscript|>"
SPECIAL = [END, START, "<|en|>", "<|fr|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"]
RATE, WINDOW_SECONDS, MELS, TOKENS = 16_000, 2, 8, 24
"""A transcript of a window has TOKENS characters, because the end token is as unlikely as any."""


def write_tiny_whisper(
    folder: Path, *, seed: int = 3, width: int = 32, generation: dict[str, Any] | None = None
) -> Path:
    """Answers are printable ASCII. `generation` replaces what generation_config.json says of languages and tasks, which
    by default is nothing, as in old checkpoints."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    tokenizer = WhisperTokenizer(vocab={letter: number for number, letter in enumerate(byte_letters())}, merges=[])
    tokenizer.add_tokens(SPECIAL, special_tokens=True)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=MELS, chunk_length=WINDOW_SECONDS).save_pretrained(folder)
    ids = tokenizer.convert_tokens_to_ids(SPECIAL)
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=MELS,
        d_model=width,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        max_source_positions=WINDOW_SECONDS * 50,
        max_target_positions=2 * TOKENS,
        init_std=0.3,
        bos_token_id=ids[0],
        eos_token_id=ids[0],
        pad_token_id=ids[0],
        decoder_start_token_id=ids[1],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config)
    model.generation_config.suppress_tokens = [*range(32), *range(127, 256), *ids[1:]]
    model.save_pretrained(folder)
    change_json(folder / "generation_config.json", _from_model_config=False, **(generation or {}))
    return folder


def change_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
