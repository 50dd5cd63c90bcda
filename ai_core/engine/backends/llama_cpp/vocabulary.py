"""Text to tokens and back, with the tokenizer in the model's file. Safe from any thread while the model is loaded."""

from __future__ import annotations

import ctypes
from typing import Any

from ai_core.engine.backends.llama_cpp.library import library


class Vocabulary:
    """`pieces` are the bytes of every token (empty for control tokens) and `ends` the tokens that end an answer: asked
    of llama.cpp once, because the engine's thread wants one for each token chosen. `end` is the usual one of the ends,
    -1 where the model has none."""

    def __init__(self, model: Any) -> None:
        self._library = library()
        self._vocabulary = self._library.llama_model_get_vocab(model)
        self.size: int = self._library.llama_vocab_n_tokens(self._vocabulary)
        end: int = self._library.llama_vocab_eos(self._vocabulary)
        self.bos = self._name(self._library.llama_vocab_bos(self._vocabulary))
        self.eos = self._name(end)
        self.pieces = self._read_pieces()
        is_end = self._library.llama_vocab_is_eog
        self.ends = frozenset(token for token in range(self.size) if is_end(self._vocabulary, token))
        self.end = end if end in self.ends else min(self.ends, default=-1)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Lone surrogates become question marks. A negative count from llama.cpp is the room that was missing."""
        data = text.encode("utf-8", "replace")
        room, count = len(data) + 2, -1
        while count < 0:
            tokens = (ctypes.c_int32 * room)()
            count = self._library.llama_tokenize(self._vocabulary, data, len(data), tokens, room, False, special)
            room = -count
        return list(tokens[:count])

    def _read_pieces(self) -> tuple[bytes, ...]:
        """A negative count from llama.cpp is the room that was missing."""
        pieces: list[bytes] = []
        buffer = ctypes.create_string_buffer(64)
        to_piece = self._library.llama_token_to_piece
        for token in range(self.size):
            written = to_piece(self._vocabulary, token, buffer, len(buffer), 0, False)
            if written < 0:
                buffer = ctypes.create_string_buffer(-written)
                written = to_piece(self._vocabulary, token, buffer, len(buffer), 0, False)
            pieces.append(buffer.raw[:written])
        return tuple(pieces)

    def _name(self, token: int) -> str:
        """The written form of a control token, for chat templates; empty where the model has none."""
        if token < 0:
            return ""
        return (self._library.llama_vocab_get_text(self._vocabulary, token) or b"").decode("utf-8", "replace")
