"""Models in the Hugging Face Hub's formats, computed by transformers and scheduled by the engine.

The engine decides what runs, and samplers shared with the other formats choose the tokens, so that every parameter
means what it means there; the library contributes the network. Its own continuous batching would drop
repetition_penalty in silence and knows no beams.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ai_core.engine.backends.base import BackendError, Chosen, Chunk, DecodeFailed, Limits, ModelInfo, OutOfCells
from ai_core.engine.backends.logits_sampler import LogitsSampler
from ai_core.engine.backends.transformers.adapters import Adapters
from ai_core.engine.backends.transformers.beams import BeamSearch, RunningBeams
from ai_core.engine.backends.transformers.checkpoint import folder_of, load_config, load_model
from ai_core.engine.backends.transformers.costs import measure
from ai_core.engine.backends.transformers.probe import packs
from ai_core.engine.backends.transformers.sequences import PackedSequences
from ai_core.engine.backends.transformers.stepped import SteppedSequences
from ai_core.engine.backends.transformers.tokenizer import open_tokenizer
from ai_core.engine.errors import InvalidRequest
from ai_core.engine.sampling import BASIC, SamplingParameters
from ai_core.engine.speculation import StepCosts
from ai_core.heap import give_back

PINNED_PREFIXES = 8
BATCH_TOKENS = 512
LEAST_OUTPUTS = 64
"""Rows with a choice after them, in a step: guesses take those that answers leave."""
DEFAULT_CONTEXT = 8192
"""Tokens of one sequence, where the model was trained on more."""
CELLS_PER_SLOT = 2048
"""Cells by default, on average over the slots: few answers are long at the same time."""
HONOURS = BASIC | {"num_beams", "length_penalty", "early_stopping", "eos_token_id", "pad_token_id"}
"""pad_token_id is what beams are padded with; nothing else is padded."""


class TransformersBackend:
    """`path` is the model's folder; `adapters` are LoRA folders by name; `context_length` and `cells` as for
    LlamaCppBackend; `threads` are torch's, for the whole process; for `dtype` and `device` see load_model.
    Raises BackendError."""

    def __init__(
        self,
        path: Path,
        *,
        slots: int = 4,
        context_length: int | None = None,
        threads: int | None = None,
        cells: int | None = None,
        adapters: Mapping[str, Path] | None = None,
        device: str = "cpu",
        dtype: str | None = None,
    ) -> None:
        if slots < 1:
            raise BackendError(f"{slots} slots are not possible")
        if threads:
            torch.set_num_threads(threads)
        self._closing = threading.Lock()
        config = load_config(path)
        self._tokenizer = open_tokenizer(folder_of(path))
        self._model: Any = load_model(path, config, dtype=dtype, device=device)
        self._adapters = Adapters(self._model, adapters or {})
        packed = packs(self._model)
        self.limits = self._limits(slots, PINNED_PREFIXES if packed else 0, context_length, cells)
        self.info = self._describe(path)
        self.costs: StepCosts | None = measure(self._model) if packed else None
        self._sequences = self._packed_sequences() if packed else self._stepped_sequences()
        self._beams = RunningBeams()
        ends = filter(self._tokenizer.is_end, range(self._tokenizer.size))
        self._ends = sorted(ends, key=lambda token: token != self._tokenizer.end)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        with self._closing:
            if self._model is None:
                raise BackendError("the model is unloaded")
        return list(self._tokenizer.tokenize(text, special=special))

    def piece(self, token: int) -> bytes:
        return bytes(self._tokenizer.piece(token))

    def is_end(self, token: int) -> bool:
        return bool(self._tokenizer.is_end(token))

    def sampler(self, sampling: SamplingParameters, prompt: Sequence[int]) -> LogitsSampler | BeamSearch:
        if not self._ends and (sampling.choices or sampling.eos_token_id is not None):
            raise InvalidRequest("this model has no end token to end such an answer with")
        if sampling.num_beams == 1:
            return LogitsSampler(sampling, prompt, self._tokenizer.end, self._ends)
        search = BeamSearch(sampling, prompt, self._ends, min(self.limits.context_length, self.limits.cells))
        if search.cells > self.limits.cells:
            raise InvalidRequest(f"{sampling.num_beams} beams of this length need {search.cells} tokens of memory")
        return search

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        self._check(chunks)
        self._adapters.activate(chunks[0].adapter)
        computing = [chunk for chunk in chunks if chunk.tokens]
        results = self._sequences.decode(computing) if computing else []
        chosen = {chunk.sequence: result for chunk, result in zip(computing, results, strict=True)}
        for chunk in chunks:
            if isinstance(chunk.sampler, BeamSearch):
                chosen[chunk.sequence] = self._advance(chunk, chunk.sampler)
        return [chosen[chunk.sequence] for chunk in chunks]

    def copy(self, source: int, target: int, length: int) -> None:
        self._sequences.copy(source, target, length)

    def drop(self, sequence: int) -> None:
        self._beams.drop(sequence)
        self._sequences.drop(sequence)

    def clear(self) -> None:
        self._beams.clear()
        self._sequences.clear()

    def close(self) -> None:
        with self._closing:
            if self._model is None:
                return
            self.clear()
            del self._sequences, self._adapters
            self._model = None
        give_back()

    def _advance(self, chunk: Chunk, search: BeamSearch) -> list[Chosen]:
        """One step of a beam search: it starts when the prompt is there, all but the last token of which is used."""
        if chunk.tokens:
            beams = search.sampling.num_beams
            cache = self._sequences.cache(chunk.sequence, len(search.prompt) - 1, beams)
            self._beams.drop(chunk.sequence)
            self._beams.start(chunk.sequence, search, self._model, cache)
        return self._beams.step(chunk.sequence)

    def _check(self, chunks: Sequence[Chunk]) -> None:
        if self._model is None:
            raise BackendError("the model is unloaded")
        total = sum(len(chunk.tokens) for chunk in chunks)
        if not chunks or total > self.limits.batch_tokens:
            raise DecodeFailed(f"batch of {total} tokens")
        sequences = {chunk.sequence for chunk in chunks}
        if len(sequences) != len(chunks) or not sequences <= set(range(self.limits.slots)):
            raise DecodeFailed("a sequence is unknown or twice in the batch")
        adapter, *others = {chunk.adapter for chunk in chunks}
        if others or adapter not in (None, *self._adapters.names):
            raise DecodeFailed("an adapter is unknown, or not that of the whole batch")
        starting = sum(
            chunk.sampler.cells for chunk in chunks if chunk.tokens and isinstance(chunk.sampler, BeamSearch)
        )
        if self._sequences.cells + self._beams.cells + total + starting > self.limits.cells:
            raise OutOfCells

    def _limits(self, slots: int, pinned: int, context_length: int | None, cells: int | None) -> Limits:
        config = self._model.config.get_text_config()
        trained = getattr(config, "max_position_embeddings", None) or context_length or DEFAULT_CONTEXT
        longest = min(context_length or DEFAULT_CONTEXT, trained)
        cells = cells or min(slots * longest, max(longest, slots * CELLS_PER_SLOT))
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        outputs = max(slots, LEAST_OUTPUTS)
        return Limits(slots, pinned, longest, cells, BATCH_TOKENS, vocabulary, outputs, held=cells)

    def _packed_sequences(self) -> PackedSequences:
        return PackedSequences(self._model, self.limits.slots + self.limits.pinned, self._tokenizer.size)

    def _stepped_sequences(self) -> SteppedSequences:
        return SteppedSequences(self._model, self._tokenizer.size, self.limits.context_length)

    def _describe(self, path: Path) -> ModelInfo:
        model, tokenizer = self._model, self._tokenizer
        return ModelInfo(
            name=path.name if path.is_dir() else path.stem,
            description=f"{type(model).__name__}, {model.num_parameters():,} parameters",
            context_length=self.limits.context_length,
            slots=self.limits.slots,
            chat_template=tokenizer.chat_template,
            bos_token=tokenizer.bos_token,
            eos_token=tokenizer.eos_token,
            architecture=model.config.model_type,
            size_bytes=sum(weight.nbytes for weight in model.parameters()),
            quantization=str(model.dtype).removeprefix("torch."),
            honours=HONOURS,
            adapters=self._adapters.names,
        )
