"""Exported decoders with past key/values, computed by onnxruntime and scheduled by the engine.

Each sequence has its own caches. The next tokens of several answers are computed in one run, their pasts padded to the
left, where the graph takes positions and really gives the same results so; else one after the other.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ai_core.engine.backends.base import BackendError, Chosen, Chunk, DecodeFailed, Limits, ModelInfo
from ai_core.engine.backends.hub_tokenizer import HubTokenizer
from ai_core.engine.backends.logits_sampler import LogitsSampler
from ai_core.engine.backends.onnx.export import Export, folder_of
from ai_core.engine.sampling import BASIC, SamplingParameters
from ai_core.engine.speculation import StepCosts

logger = logging.getLogger(__name__)

BATCH_TOKENS = 512
DEFAULT_CONTEXT = 8192
CELLS_PER_SLOT = 2048
HOLDERS_PER_SLOT = 3
TOLERANCE = 0.02
"""Of the logits of one run for several, against those of each alone: quantised graphs round by the row."""

Past = list[npt.NDArray[Any]]
"""Of one sequence: an array (1, heads, tokens, width) for each of the graph's caches; never changed in place."""


class OnnxBackend:
    """`path` is the model's folder, with config.json and tokenizer.json, or its file; `context_length` and `cells` as
    for LlamaCppBackend; `threads` are onnxruntime's. Raises BackendError."""

    def __init__(
        self,
        path: Path,
        *,
        slots: int = 4,
        context_length: int | None = None,
        threads: int | None = None,
        cells: int | None = None,
    ) -> None:
        if slots < 1:
            raise BackendError(f"{slots} slots are not possible")
        self._closing = threading.Lock()
        self._tokenizer = HubTokenizer(folder_of(path))
        self._export: Export | None = Export(path, threads)
        self._past: dict[int, Past] = {}
        self.costs: StepCosts | None = None
        configuration = self._export.configuration
        trained = configuration.get("max_position_embeddings") or configuration.get("n_positions") or DEFAULT_CONTEXT
        longest = min(context_length or DEFAULT_CONTEXT, trained)
        cells = cells or min(slots * longest, max(longest, slots * CELLS_PER_SLOT))
        self._batches, vocabulary = self._probe(self._export)
        self.limits = Limits(
            slots, HOLDERS_PER_SLOT * slots, longest, cells, BATCH_TOKENS, vocabulary, outputs=slots, held=cells
        )
        self.info = self._describe(path, self._export)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        with self._closing:
            if self._export is None:
                raise BackendError("the model is unloaded")
        return self._tokenizer.tokenize(text, special=special)

    def piece(self, token: int) -> bytes:
        return self._tokenizer.piece(token)

    def is_end(self, token: int) -> bool:
        return self._tokenizer.is_end(token)

    def sampler(self, sampling: SamplingParameters, prompt: Sequence[int]) -> LogitsSampler:
        ends = [token for token in range(self._tokenizer.size) if self._tokenizer.is_end(token)]
        return LogitsSampler(sampling, prompt, self._tokenizer.end, ends)

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        export = self._check(chunks)
        together = [chunk for chunk in chunks if len(chunk.tokens) == 1] if self._batches else []
        logits: dict[int, npt.NDArray[Any]] = {}
        if len(together) > 1:
            logits.update(self._run_together(export, together))
        for chunk in chunks:
            if chunk.sequence not in logits:
                logits[chunk.sequence] = self._run(export, chunk)
        return [self._sample(chunk, logits[chunk.sequence]) for chunk in chunks]

    def copy(self, source: int, target: int, length: int) -> None:
        self._past[target] = [cache[:, :, :length] for cache in self._past[source]]

    def drop(self, sequence: int) -> None:
        self._past.pop(sequence, None)

    def clear(self) -> None:
        self._past.clear()

    def close(self) -> None:
        with self._closing:
            self._export = None
            self._past.clear()
        gc.collect()  # the session is a native object: its memory goes with it

    def _check(self, chunks: Sequence[Chunk]) -> Export:
        if self._export is None:
            raise BackendError("the model is unloaded")
        total = sum(len(chunk.tokens) for chunk in chunks)
        if not 0 < total <= self.limits.batch_tokens or not all(chunk.tokens for chunk in chunks):
            raise DecodeFailed(f"batch of {total} tokens")
        sequences = {chunk.sequence for chunk in chunks}
        if len(sequences) != len(chunks) or not sequences <= set(range(self.limits.slots)):
            raise DecodeFailed("a sequence is unknown or twice in the batch")
        if any(chunk.drafted or chunk.adapter for chunk in chunks):
            raise DecodeFailed("neither drafts nor adapters are possible here")
        for chunk in chunks:
            if chunk.position != _length(self._past.get(chunk.sequence)):
                raise DecodeFailed(f"position {chunk.position} does not follow what memory holds")
        return self._export

    def _run(self, export: Export, chunk: Chunk) -> npt.NDArray[Any]:
        """Compute a chunk alone; the logits after its last token."""
        past = self._past.get(chunk.sequence) or _empty(export)
        total = chunk.position + len(chunk.tokens)
        positions = np.arange(chunk.position, total)[None]
        logits, *presents = _compute(export, np.array([chunk.tokens]), np.ones((1, total)), positions, past)
        self._past[chunk.sequence] = presents
        return np.asarray(logits[0, -1])

    def _run_together(self, export: Export, chunks: Sequence[Chunk]) -> dict[int, npt.NDArray[Any]]:
        """Compute the next token of several sequences in one run; their logits."""
        lengths = [chunk.position for chunk in chunks]
        longest = max(lengths)
        pasts = [self._past.get(chunk.sequence) or _empty(export) for chunk in chunks]
        padded = [_padded([past[place] for past in pasts], longest) for place in range(len(export.past))]
        mask = np.zeros((len(chunks), longest + 1))
        for row, length in enumerate(lengths):
            mask[row, longest - length :] = 1
        tokens = np.array([chunk.tokens for chunk in chunks])
        logits, *presents = _compute(export, tokens, mask, np.array(lengths)[:, None], padded)
        for row, (chunk, length) in enumerate(zip(chunks, lengths, strict=True)):
            # A copy, or this sequence alone would keep the memory of the whole batch.
            self._past[chunk.sequence] = [present[row : row + 1, :, longest - length :].copy() for present in presents]
        return {chunk.sequence: np.asarray(logits[row, -1]) for row, chunk in enumerate(chunks)}

    def _sample(self, chunk: Chunk, logits: npt.NDArray[Any]) -> list[Chosen]:
        if chunk.sampler is None:
            return []
        assert isinstance(chunk.sampler, LogitsSampler)
        return chunk.sampler.sample(logits.astype(np.float32)[: self._tokenizer.size])

    def _probe(self, export: Export) -> tuple[bool, int]:
        """Whether several sequences of unequal length give in one run what each gives alone; the vocabulary's size."""
        chunks = [Chunk(row, 0, [1 + row, 2, 3][: 3 - row], None) for row in range(2)]
        vocabulary = min(self._run(export, chunk).shape[-1] for chunk in chunks)
        if not (export.takes_positions and export.takes_mask):
            self.clear()
            return False, min(vocabulary, self._tokenizer.size)
        nexts = [Chunk(chunk.sequence, len(chunk.tokens), [4], None) for chunk in chunks]
        before = dict(self._past)
        alone = [self._run(export, chunk) for chunk in nexts]
        self._past = before
        try:
            together = self._run_together(export, nexts)
            same = all(_close(together[row], alone[row]) for row in range(2))
        except DecodeFailed as error:
            logger.debug("several sequences in one run are not possible", extra={"reason": str(error)})
            same = False
        self.clear()
        if not same:
            logger.info("this export computes one answer after the other", extra={"file": export.file.name})
        return same, min(vocabulary, self._tokenizer.size)

    def _describe(self, path: Path, export: Export) -> ModelInfo:
        together = "several answers in one run" if self._batches else "one answer after the other"
        return ModelInfo(
            name=folder_of(path).name,
            description=f"{export.file.name}, {together}",
            context_length=self.limits.context_length,
            slots=self.limits.slots,
            chat_template=self._tokenizer.chat_template,
            bos_token=self._tokenizer.bos_token,
            eos_token=self._tokenizer.eos_token,
            architecture=str(export.configuration.get("model_type", "")),
            size_bytes=export.size_bytes,
            quantization=export.file.stem.removeprefix("model").strip("_") or "float32",
            honours=BASIC | {"eos_token_id"},
        )


def _compute(
    export: Export, tokens: npt.NDArray[Any], mask: npt.NDArray[Any], positions: npt.NDArray[Any], past: Past
) -> list[npt.NDArray[Any]]:
    """One run: logits and the caches after it. Raises DecodeFailed."""
    feed: dict[str, Any] = {"input_ids": tokens.astype(np.int64), **dict(zip(export.past, past, strict=True))}
    if export.takes_mask:
        feed["attention_mask"] = mask.astype(np.int64)
    if export.takes_positions:
        feed["position_ids"] = positions.astype(np.int64)
    if export.takes_branch:
        feed["use_cache_branch"] = np.array([past[0].shape[2] > 0])
    try:
        results: list[npt.NDArray[Any]] = export.session.run(export.outputs, feed)
    except Exception as error:  # the library has an exception for each cause, without a common base
        raise DecodeFailed(f"onnxruntime: {str(error)[:300]}") from error
    return results


def _empty(export: Export) -> Past:
    return [np.zeros((1, export.heads, 0, export.width), export.type) for _ in export.past]


def _padded(caches: Sequence[npt.NDArray[Any]], length: int) -> npt.NDArray[Any]:
    """One array of all rows, zeros on the left."""
    _, heads, _, width = caches[0].shape
    rows = np.zeros((len(caches), heads, length, width), caches[0].dtype)
    for row, cache in enumerate(caches):
        rows[row, :, length - cache.shape[2] :] = cache[0]
    return rows


def _length(past: Past | None) -> int:
    return past[0].shape[2] if past else 0


def _close(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> bool:
    scale = float(np.abs(theirs).max()) or 1.0
    return bool(np.abs(ours.astype(np.float64) - theirs).max() <= TOLERANCE * scale)
