"""Many sequences in one llama.cpp context.

The high-level `Llama` class is one sequence behind its caller's lock, so batches are filled here. A wrong batch makes
llama.cpp abort the whole process (GGML_ASSERT): sizes and sequence ids are checked before every call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ai_core.engine.backends.base import BackendError, Chosen, Chunk, DecodeFailed, Limits, ModelInfo, OutOfCells
from ai_core.engine.backends.llama_cpp.adapters import Adapters
from ai_core.engine.backends.llama_cpp.calibration import calibrate, usual_candidates
from ai_core.engine.backends.llama_cpp.calibration_file import CalibrationFile, fingerprint
from ai_core.engine.backends.llama_cpp.candidates import Candidates
from ai_core.engine.backends.llama_cpp.grammar import GrammarSampler
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.model import load_model, metadata, shares_prefixes
from ai_core.engine.backends.llama_cpp.sampler import ChoiceSampler, LlamaSampler
from ai_core.engine.backends.llama_cpp.sequence_memory import SeparateCaches, SequenceMemory, SharedCache
from ai_core.engine.backends.llama_cpp.threads import default_threads, other_threads
from ai_core.engine.backends.llama_cpp.tuning import BATCH_TOKENS, Tuning, has_room_for_scores, new_context
from ai_core.engine.backends.llama_cpp.vocabulary import Vocabulary
from ai_core.engine.errors import InvalidRequest
from ai_core.engine.grammar.constraint import constraint
from ai_core.engine.sampling import BASIC, SamplingParameters
from ai_core.engine.speculation import StepCosts

logger = logging.getLogger(__name__)

HOLDERS_PER_SLOT = 3
"""Sequences that keep what later prompts may share: system prompts, articles, conversations between their turns."""
MOST_SEQUENCES = 256
"""llama.cpp's own limit (LLAMA_MAX_SEQ)."""
LONG_CHUNK = 64
"""Tokens of one sequence, from which on llama.cpp's attention works in tiles."""
LEAST_OUTPUTS = 64
"""Rows of a batch after which a token may be chosen: each takes a float for every token of the vocabulary."""
QUOTES_ONLY_KEY = "code_du_travail.quotes_only"
DEFAULT_CONTEXT = 8192
"""Tokens of one sequence, where the model was trained on more: the cache is allocated in full at the start."""
CELLS_PER_SLOT = 2048
"""Cells by default, on average over the slots: few answers are long at the same time."""
HELD_IN_SHARED_CACHE = 4096
"""Tokens that nobody uses now, at most: in a shared cache each row of attention looks at them, in vain."""

AnySampler = LlamaSampler | ChoiceSampler | GrammarSampler


class LlamaCppBackend:
    """`context_length` is the longest prompt with its answer (the model's own, at most 8192, by default); `cells` the
    tokens that all sequences hold together. Where they are enough for the longest answer in every slot, each slot has
    its own cache, and what prompts share takes up to as much again beside them, as it comes. `adapters` are LoRA files
    (GGUF) by name; for `threads` see default_threads. With a `calibration_file` the fastest tuning is measured once
    and kept there; drafts are made only then, because only then their cost is known. Raises BackendError."""

    def __init__(
        self,
        model_path: Path,
        *,
        slots: int = 16,
        context_length: int | None = None,
        threads: int | None = None,
        cells: int | None = None,
        adapters: Mapping[str, Path] | None = None,
        calibration_file: Path | None = None,
    ) -> None:
        self._library = library()
        self._closing = threading.Lock()
        self._model: Any = load_model(model_path)
        trained = self._library.llama_model_n_ctx_train(self._model)
        context_length = min(context_length or DEFAULT_CONTEXT, trained)
        cells = cells or min(slots * context_length, max(context_length, slots * CELLS_PER_SLOT))
        pinned = min(slots * HOLDERS_PER_SLOT, MOST_SEQUENCES - slots) if shares_prefixes(self._model) else 0
        try:
            self._adapters = Adapters(self._model, adapters or {})
            separate = pinned > 0 and cells >= slots * context_length
            scores = separate and has_room_for_scores(self._model, context_length)  # a shared cache saves memory
            self.tuning, self.costs = self._tune(threads, calibration_file, separate=separate, other_attention=scores)
            self._context = self._new_context(slots, pinned, cells, separate=separate)
        except BackendError:
            self._library.llama_model_free(self._model)  # and its adapters
            raise
        self._memory: SequenceMemory = SeparateCaches(self._context, slots) if separate else SharedCache(self._context)
        self._vocabulary = Vocabulary(self._model)
        self._candidates = Candidates(self._vocabulary)
        self._batch = self._library.llama_batch_init(BATCH_TOKENS, 0, 1)
        self.limits = self._new_limits(slots, pinned, context_length, separate=separate)
        self.info = self._describe(model_path, self.limits)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        with self._closing:
            if self._model is None:
                raise BackendError("the model is unloaded")
            return self._vocabulary.tokenize(text, special=special)

    def piece(self, token: int) -> bytes:
        return self._vocabulary.pieces[token]

    def is_end(self, token: int) -> bool:
        return token in self._vocabulary.ends

    def sampler(self, sampling: SamplingParameters, prompt: Sequence[int]) -> AnySampler:
        """Raises InvalidRequest where the grammar or the JSON schema cannot be used."""
        matcher = constraint(sampling)
        if (matcher or sampling.choices) and self._vocabulary.end < 0:
            raise InvalidRequest("this model has no token that ends an answer: it cannot keep to given ones")
        if sampling.choices:
            return ChoiceSampler(sampling, self._vocabulary.end, self._vocabulary.size)
        if matcher:
            return GrammarSampler(sampling, prompt, self._candidates, matcher)
        return LlamaSampler(sampling, prompt, self._vocabulary.size)

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        self._check(chunks)
        self._adapters.use(self._context, chunks[0].adapter)
        chosen: dict[int, list[Chosen]] = {}
        for together in self._computed_together(chunks):
            chosen.update(self._decode_together(together))
        return [chosen[chunk.sequence] for chunk in chunks]

    def copy(self, source: int, target: int, length: int) -> None:
        self._memory.copy(source, target, length)

    def drop(self, sequence: int) -> None:
        self._memory.drop(sequence)

    def clear(self) -> None:
        self._memory.clear()

    def close(self) -> None:
        with self._closing:
            if self._model is None:
                return
            self._library.llama_batch_free(self._batch)
            self._library.llama_free(self._context)
            self._library.llama_model_free(self._model)
            self._model = self._context = None

    def _tune(
        self, threads: int | None, file: Path | None, *, separate: bool, other_attention: bool
    ) -> tuple[Tuning, StepCosts | None]:
        usual = default_threads(self._library.llama_model_size(self._model))
        first = Tuning(threads or usual, threads or usual)
        if file is None:
            return first, None
        memory = f"{'separate' if separate else 'shared'} cache{'' if other_attention else ', flash attention'}"
        kept, key = CalibrationFile(file), f"{fingerprint(self._model)}, threads {threads or 'free'}, {memory}"
        calibration = kept.get(key)
        if calibration is None:
            candidates = usual_candidates([] if threads else other_threads(usual), other_attention=other_attention)
            calibration = calibrate(self._model, first, candidates, separate=separate)
            if calibration.costs is not None:
                kept.put(key, calibration)
            logger.info("calibrated", extra={"tuning": str(calibration.tuning)})
        costs = calibration.costs if shares_prefixes(self._model) else None  # else drafts cannot be taken back
        return calibration.tuning, costs

    def _new_context(self, slots: int, pinned: int, cells: int, *, separate: bool) -> Any:
        if not 0 < slots <= BATCH_TOKENS or slots + pinned > MOST_SEQUENCES:
            raise BackendError(f"{slots} slots are not possible")
        context = new_context(
            self._model,
            self.tuning,
            cells=cells,
            sequences=slots if separate else slots + pinned,
            outputs=max(slots, LEAST_OUTPUTS),
            separate=separate,
        )
        if context is None:
            raise BackendError(f"no memory for {cells} tokens of context")
        return context

    def _new_limits(self, slots: int, pinned: int, context_length: int, *, separate: bool) -> Limits:
        cells = self._library.llama_n_ctx(self._context)
        held = cells if separate else min(cells // 4, HELD_IN_SHARED_CACHE)
        return Limits(
            slots,
            pinned,
            context_length,
            cells + held if separate else cells,
            BATCH_TOKENS,
            self._vocabulary.size,
            outputs=max(slots, LEAST_OUTPUTS),
            held=held,
            separate=separate,
        )

    def _check(self, chunks: Sequence[Chunk]) -> None:
        if self._model is None:
            raise BackendError("the model is unloaded")
        total = sum(len(chunk.tokens) for chunk in chunks)
        if not 0 < total <= self.limits.batch_tokens:
            raise DecodeFailed(f"batch of {total} tokens")
        sequences = {chunk.sequence for chunk in chunks}
        if len(sequences) != len(chunks) or not sequences <= set(range(self.limits.slots)):
            raise DecodeFailed("a sequence is unknown or twice in the batch")
        adapter, *others = {chunk.adapter for chunk in chunks}
        if others or adapter not in (None, *self._adapters.names):
            raise DecodeFailed("an adapter is unknown, or not that of the whole batch")

    def _computed_together(self, chunks: Sequence[Chunk]) -> list[list[Chunk]]:
        """llama.cpp computes separate sequences together as far as they have as many tokens, and their numbers follow
        one another: the answers that run, then what is short of prompts, then each long chunk alone."""
        if not self.limits.separate:
            return [list(chunks)]
        ordered = sorted(chunks, key=lambda chunk: chunk.sequence)
        single = [chunk for chunk in ordered if len(chunk.tokens) == 1]
        short = [chunk for chunk in ordered if 1 < len(chunk.tokens) < LONG_CHUNK]
        long = [[chunk] for chunk in ordered if len(chunk.tokens) >= LONG_CHUNK]
        return [group for group in (single, short, *long) if group]

    def _decode_together(self, chunks: Sequence[Chunk]) -> dict[int, list[Chosen]]:
        """Tokens chosen, by sequence."""
        outputs = self._fill(chunks)
        code = self._library.llama_decode(self._context, self._batch)
        if code == 1:
            raise OutOfCells
        if code != 0:  # 2: aborted, -1: invalid batch, below: fatal
            raise DecodeFailed(f"llama_decode returned {code}")
        return {chunk.sequence: self._sample(chunk, last) for chunk, last in zip(chunks, outputs, strict=True)}

    def _fill(self, chunks: Sequence[Chunk]) -> list[int]:
        """Write the chunks into llama.cpp's arrays; the place of the last token of each that is no draft."""
        batch, place, last = self._batch, 0, []
        for chunk in chunks:
            for offset, token in enumerate(chunk.tokens):
                batch.token[place] = token
                batch.pos[place] = chunk.position + offset
                batch.n_seq_id[place] = 1
                batch.seq_id[place][0] = chunk.sequence
                batch.logits[place] = 0
                place += 1
            certain = place - 1 - chunk.drafted
            for output in range(certain, place):
                batch.logits[output] = chunk.sampler is not None
            last.append(certain)
        batch.n_tokens = place
        return last

    def _sample(self, chunk: Chunk, last: int) -> list[Chosen]:
        """The token after the one in place `last`, and one more for each draft that was right."""
        if chunk.sampler is None:
            return []
        assert isinstance(chunk.sampler, AnySampler)
        chosen = chunk.sampler.sample(self._context, last)
        if not chunk.drafted:
            return chosen
        for place, draft in enumerate(chunk.tokens[-chunk.drafted :], last + 1):
            if chosen[-1].token != draft or self.is_end(draft):
                break
            chosen += chunk.sampler.sample(self._context, place)
        kept = chunk.position + len(chunk.tokens) - chunk.drafted + len(chosen) - 1
        self._library.llama_memory_seq_rm(self._library.llama_get_memory(self._context), chunk.sequence, kept, -1)
        return chosen

    def _describe(self, path: Path, limits: Limits) -> ModelInfo:
        lib, model = self._library, self._model
        template = lib.llama_model_chat_template(model, None)
        return ModelInfo(
            name=metadata(model, "general.name") or path.stem,
            description=metadata(model, "general.description"),
            context_length=limits.context_length,
            slots=limits.slots,
            chat_template=template.decode("utf-8", "replace") if template else None,
            bos_token=self._vocabulary.bos,
            eos_token=self._vocabulary.eos,
            architecture=metadata(model, "general.architecture"),
            size_bytes=lib.llama_model_size(model),
            quantization=(lib.llama_ftype_name(lib.llama_model_ftype(model)) or b"").decode(),
            honours=BASIC | {"grammar", "json_schema"},
            adapters=self._adapters.names,
            quotes_only=metadata(model, QUOTES_ONLY_KEY) == "true",
        )
