"""Embedding models in GGUF: several texts in one batch, each of them a sequence of its own.

Encoders (BERT, nomic, bge) see a text from both sides, so that all of it must be in one batch; decoders
(Qwen3-Embedding) are computed the same way. llama.cpp keeps room for the logits of every token of the batch, wanted or
not: with a vocabulary of 250,000 one megabyte a token, which is why batches and the default context are short.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ai_core.engine.backends.base import BackendError, DecodeFailed
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.model import metadata, open_model
from ai_core.engine.backends.llama_cpp.threads import default_threads
from ai_core.engine.embedding import EmbeddingJob, EmbeddingModelInfo, TokenizedText, Vector, join
from ai_core.engine.job import InvalidInput

DEFAULT_CONTEXT = 1024
"""Tokens of one text, where the model was trained on more."""
BATCH_TOKENS = 512
"""Tokens of a batch, unless one text alone has more."""
BATCH_TEXTS = 64
MOST_TEXTS = 2048
"""Texts of one job, as in OpenAI's API."""
POOLING = {"1": "mean", "2": "cls", "3": "last"}
"""enum llama_pooling_type, as the file has it; 0 or none leaves a vector for each token, 4 is a reranker's score."""


class LlamaCppEmbedder:
    """`context_length` is the longest text in tokens (the model's own, at most 1024, by default); for `threads` see
    default_threads. Raises BackendError. An Embedder."""

    most_pieces = BATCH_TEXTS

    def __init__(self, path: Path, *, threads: int | None = None, context_length: int | None = None) -> None:
        self._library = library()
        self._closing = threading.Lock()
        self._model: Any = open_model(path)
        trained = self._library.llama_model_n_ctx_train(self._model)
        context_length = min(context_length or DEFAULT_CONTEXT, trained)
        self._room = max(BATCH_TOKENS, context_length)
        try:
            self.info = self._describe(path, context_length)
            self._context = self._new_context(threads or default_threads(self.info.size_bytes))
        except BackendError as error:
            self._library.llama_model_free(self._model)
            raise BackendError(f"{path.name}: {error}") from error
        self._vocabulary = self._library.llama_model_get_vocab(self._model)
        self._batch = self._library.llama_batch_init(self._room, 0, 1)

    def job(self, texts: Sequence[str], *, deadline: float | None = None) -> EmbeddingJob:
        if not 0 < len(texts) <= MOST_TEXTS:
            raise InvalidInput("input", f"{len(texts)} texts, from 1 to {MOST_TEXTS} are possible")
        tokenized = [self._tokenized(place, text) for place, text in enumerate(texts)]
        return EmbeddingJob(tokenized, lambda vectors: join(tokenized, vectors), deadline=deadline)

    def fitting(self, pieces: Sequence[TokenizedText]) -> int:
        lengths = accumulate(len(piece.tokens) for piece in pieces)
        return max(1, sum(length <= BATCH_TOKENS for length in lengths))

    def compute(self, pieces: Sequence[TokenizedText], wanted: Callable[[], bool]) -> list[Vector]:  # noqa: ARG002
        """One call of the library, which nothing ends early."""
        if self._model is None:
            raise BackendError("the model is unloaded")
        self._fill(pieces)
        self._library.llama_memory_clear(self._library.llama_get_memory(self._context), False)
        code = self._library.llama_decode(self._context, self._batch)  # of a model without a KV cache: llama_encode
        if code != 0:
            raise DecodeFailed(f"llama_decode returned {code}")
        return [self._vector(sequence) for sequence in range(len(pieces))]

    def close(self) -> None:
        with self._closing:
            if self._model is None:
                return
            self._library.llama_batch_free(self._batch)
            self._library.llama_free(self._context)
            self._library.llama_model_free(self._model)
            self._model = self._context = self._vocabulary = None

    def _new_context(self, threads: int) -> Any:
        lib = self._library
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = self._room  # all of a text in one step
        parameters.n_seq_max = BATCH_TEXTS
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = True
        parameters.embeddings = True
        context = lib.llama_init_from_model(self._model, parameters)
        if not context:
            raise BackendError(f"no memory for {self._room} tokens of context")
        return context

    def _describe(self, path: Path, context_length: int) -> EmbeddingModelInfo:
        lib, model = self._library, self._model
        architecture = metadata(model, "general.architecture")
        pooling = POOLING.get(metadata(model, f"{architecture}.pooling_type"))
        if pooling is None or lib.llama_model_has_encoder(model):  # the latter: beside a decoder, as T5 has
            raise BackendError("no embedding model: it does not say how to pool its tokens to one vector")
        return EmbeddingModelInfo(
            name=metadata(model, "general.name") or path.stem,
            description=metadata(model, "general.description"),
            architecture=architecture,
            dimension=lib.llama_model_n_embd_out(model),
            context_length=context_length,
            pooling=pooling,
            size_bytes=lib.llama_model_size(model),
            quantization=(lib.llama_ftype_name(lib.llama_model_ftype(model)) or b"").decode(),
        )

    def _tokenized(self, place: int, text: str) -> TokenizedText:
        """With the tokens that the model wants around a text; of a longer one the closing token stays, for it may be
        the one whose vector counts."""
        tokens = self._tokenize(text) if text.strip() else []
        if not tokens:
            raise InvalidInput(f"input[{place}]", "no text")
        limit = self.info.context_length
        if len(tokens) <= limit:
            return TokenizedText(tuple(tokens), truncated=False)
        closing = [token for token in tokens[-1:] if token in self._closing_tokens()]
        return TokenizedText((*tokens[: limit - len(closing)], *closing), truncated=True)

    def _tokenize(self, text: str) -> list[int]:
        """Control tokens written in the text are text. A negative count is the room that was missing."""
        data = text.encode("utf-8", "replace")
        room, count = len(data) + 2, -1
        with self._closing:
            if self._model is None:
                raise BackendError("the model is unloaded")
            while count < 0:
                tokens = (ctypes.c_int32 * room)()
                count = self._library.llama_tokenize(self._vocabulary, data, len(data), tokens, room, True, False)
                room = -count
        return list(tokens[:count])

    def _closing_tokens(self) -> set[int]:
        return {self._library.llama_vocab_sep(self._vocabulary), self._library.llama_vocab_eos(self._vocabulary)}

    def _fill(self, pieces: Sequence[TokenizedText]) -> None:
        """A batch that is too long or has too many sequences would end the process."""
        if len(pieces) > BATCH_TEXTS or sum(len(piece.tokens) for piece in pieces) > self._room:
            raise DecodeFailed("the texts do not fit in one batch")
        batch, place = self._batch, 0
        for sequence, piece in enumerate(pieces):
            for position, token in enumerate(piece.tokens):
                batch.token[place] = token
                batch.pos[place] = position
                batch.n_seq_id[place] = 1
                batch.seq_id[place][0] = sequence
                batch.logits[place] = 1  # pooling takes all of them
                place += 1
        batch.n_tokens = place

    def _vector(self, sequence: int) -> Vector:
        pointer = self._library.llama_get_embeddings_seq(self._context, sequence)
        if not pointer:
            raise DecodeFailed(f"no vector of text {sequence}")
        vector = np.ctypeslib.as_array(pointer, (self.info.dimension,)).astype(np.float32)
        length = float(np.linalg.norm(vector))
        if not 0 < length < float("inf"):
            raise DecodeFailed(f"the vector of text {sequence} has no direction")
        return np.asarray(vector / np.float32(length))
