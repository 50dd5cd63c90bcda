"""Text to tokens and back, with the tokenizer in the model's file. Safe from any thread while the model is loaded."""

from __future__ import annotations

import ctypes
from typing import Any

from ai_core.engine.backends.llama_cpp.library import library


class Vocabulary:
    def __init__(self, model: Any) -> None:
        self._library = library()
        self._vocabulary = self._library.llama_model_get_vocab(model)
        self.size: int = self._library.llama_vocab_n_tokens(self._vocabulary)
        self.bos = self._name(self._library.llama_vocab_bos(self._vocabulary))
        self.eos = self._name(self._library.llama_vocab_eos(self._vocabulary))

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        capacity = len(data) + 2
        tokens = (ctypes.c_int32 * capacity)()
        count = self._library.llama_tokenize(self._vocabulary, data, len(data), tokens, capacity, False, special)
        if count < 0:
            capacity = -count
            tokens = (ctypes.c_int32 * capacity)()
            count = self._library.llama_tokenize(self._vocabulary, data, len(data), tokens, capacity, False, special)
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """The bytes of `token`; empty for control tokens."""
        size = 64
        buffer = ctypes.create_string_buffer(size)
        written = self._library.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False)
        if written < 0:
            size = -written
            buffer = ctypes.create_string_buffer(size)
            written = self._library.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False)
        return buffer.raw[:written]

    def is_end(self, token: int) -> bool:
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def _name(self, token: int) -> str:
        """The written form of a control token, for chat templates; empty where the model has none."""
        if token < 0:
            return ""
        return (self._library.llama_vocab_get_text(self._vocabulary, token) or b"").decode("utf-8", "replace")
