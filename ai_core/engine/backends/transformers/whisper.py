"""Whisper-shaped speech models: windows of half a minute, those of several recordings in one batch, greedily.

Windows are cut here (see audio_windows) and not by the library, whose own way of hearing long recordings needs
timestamp tokens and goes through each of them from one half minute to the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ai_core.engine.audio import decode
from ai_core.engine.audio_windows import is_silent, windows
from ai_core.engine.backends.base import BackendError
from ai_core.engine.job import InvalidInput
from ai_core.engine.speech import FRENCH, Heard, SpeechModelInfo, TranscriptionJob, Window, join

BATCH_WINDOWS = 4
"""Each takes some hundred megabytes while it is encoded, and makes the others wait."""
MOST_BYTES = 25 * 2**20
"""As in OpenAI's API."""
MOST_SECONDS = 600.0
ENGLISH = "en"
TASKS = ("transcribe", "translate")
START = "<|startoftranscript|>"
NO_TIMESTAMPS = "<|notimestamps|>"
NOTHING = Heard("", None)


class WhisperTranscriber:
    """`path` is a folder as transformers saves it, with safetensors; `threads` None leaves torch's own number. A
    recording may have `most_bytes` and last `most_seconds`. Raises BackendError. A Transcriber."""

    most_pieces = BATCH_WINDOWS

    def __init__(
        self,
        path: Path,
        *,
        threads: int | None = None,
        most_bytes: int = MOST_BYTES,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        self._threads = threads
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._extractor, self._tokenizer, self._model = _load(path)
        self._rate: int = self._extractor.sampling_rate
        self._longest: int = self._extractor.n_samples
        settings = self._model.generation_config
        self._multilingual = bool(settings.is_multilingual)
        self._codes = {number: token[2:-2] for token, number in settings.lang_to_id.items()}
        languages = tuple(sorted(self._codes.values())) if self._multilingual else (ENGLISH,)
        size = sum(tensor.nbytes for tensor in self._model.parameters())
        self.info = SpeechModelInfo(path.name, languages, size)

    def job(self, audio: bytes, *, language: str | None = FRENCH, deadline: float | None = None) -> TranscriptionJob:
        if language is not None and language not in self.info.languages:
            raise InvalidInput("language", f"this model does not know it; it knows {', '.join(self.info.languages)}")
        if len(audio) > self._most_bytes:
            raise InvalidInput("file", f"{len(audio)} bytes, at most {self._most_bytes} are possible")
        samples = decode(audio, rate=self._rate, max_seconds=self._most_seconds)
        borders = windows(samples, self._rate, self._longest)
        spans = [(start / self._rate, end / self._rate) for start, end in borders]
        pieces = [Window(samples[start:end], language) for start, end in borders]
        return TranscriptionJob(pieces, lambda heard: join(spans, language, heard), deadline=deadline)

    def fitting(self, pieces: Sequence[Window]) -> int:
        return len(pieces)

    def compute(self, pieces: Sequence[Window], wanted: Callable[[], bool]) -> list[Heard]:
        if self._model is None:
            raise BackendError("the model is unloaded")
        sounding = [place for place, piece in enumerate(pieces) if not is_silent(piece.samples)]
        heard = [NOTHING] * len(pieces)
        if sounding:
            texts = self._transcribe([pieces[place] for place in sounding], wanted)
            for place, part in zip(sounding, texts, strict=True):
                heard[place] = part
        return heard

    def close(self) -> None:
        self._extractor = self._tokenizer = self._model = None

    def _transcribe(self, pieces: Sequence[Window], wanted: Callable[[], bool]) -> list[Heard]:
        import torch

        if self._threads is not None:
            torch.set_num_threads(self._threads)  # this thread's; the others of the process keep theirs

        def unwanted(tokens: Any, _scores: Any, **_: Any) -> Any:
            return torch.full((tokens.shape[0],), not wanted())

        with torch.inference_mode():
            sound = [piece.samples for piece in pieces]
            features = self._extractor(sound, sampling_rate=self._rate, return_tensors="pt").input_features
            encoded = self._model.get_encoder()(features)
            languages = self._languages(pieces, encoded)
            options = {"language": languages, "task": "transcribe"} if self._multilingual else {}
            tokens = self._model.generate(
                encoder_outputs=encoded,
                attention_mask=torch.ones(features.shape[0], features.shape[2], dtype=torch.long),
                stopping_criteria=[unwanted],
                return_timestamps=False,
                **options,
            )
        texts = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [Heard(text.strip(), language) for text, language in zip(texts, languages, strict=True)]

    def _languages(self, pieces: Sequence[Window], encoded: Any) -> list[str]:
        if not self._multilingual:
            return [ENGLISH] * len(pieces)
        if all(piece.language for piece in pieces):
            return [piece.language or "" for piece in pieces]
        detected = self._model.detect_language(encoder_outputs=encoded).tolist()
        return [piece.language or self._codes[token] for piece, token in zip(pieces, detected, strict=True)]


def _load(path: Path) -> tuple[Any, Any, Any]:
    """Feature extractor, tokenizer and model."""
    _check_kind(path)
    import torch
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        extractor = WhisperFeatureExtractor.from_pretrained(path, local_files_only=True)
        tokenizer = WhisperTokenizer.from_pretrained(path, local_files_only=True)
        model, report = WhisperForConditionalGeneration.from_pretrained(
            path, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # tokenizers and safetensors raise nothing narrower
        raise BackendError(f"transformers cannot load {path.name}: {error}") from error
    if report["missing_keys"] or report["mismatched_keys"]:
        raise BackendError(f"{path.name} lacks weights: {', '.join(sorted(report['missing_keys'])[:3])}")
    if (extractor.feature_size, extractor.nb_max_frames) != (
        model.config.num_mel_bins,
        model.config.max_source_positions * 2,  # the encoder's convolutions halve the frames
    ):
        raise BackendError(f"preprocessor_config.json of {path.name} does not fit its config.json")
    if tokenizer.get_vocab().get(START) != model.generation_config.decoder_start_token_id:
        raise BackendError(f"{path.name} has no tokenizer, or that of another model")  # the library makes an empty one
    _settle(model, tokenizer)
    return extractor, tokenizer, model.eval()


def _check_kind(path: Path) -> None:
    try:
        kind = json.loads((path / "config.json").read_text("utf-8"))["model_type"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise BackendError(f"{path.name} has no config.json that names a model_type") from error
    if kind != "whisper":
        raise BackendError(f"config.json of {path.name}: model_type is {kind}, not whisper")


def _settle(model: Any, tokenizer: Any) -> None:
    """One greedy way of hearing, at most as long as Whisper's own code lets a window be. What old checkpoints do not
    say of their languages and tasks is in their tokenizer."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    settings, tokens = model.generation_config, tokenizer.get_vocab()
    settings.num_beams, settings.max_new_tokens = 1, None
    settings.max_length = model.config.max_target_positions // 2
    if getattr(settings, "lang_to_id", None) is None:
        settings.lang_to_id = {token: tokens[token] for code in LANGUAGES if (token := f"<|{code}|>") in tokens}
    if getattr(settings, "task_to_id", None) is None:
        settings.task_to_id = {task: tokens[f"<|{task}|>"] for task in TASKS if f"<|{task}|>" in tokens}
    if getattr(settings, "no_timestamps_token_id", None) is None and NO_TIMESTAMPS in tokens:
        settings.no_timestamps_token_id = tokens[NO_TIMESTAMPS]
    if getattr(settings, "is_multilingual", None) is None:
        settings.is_multilingual = bool(settings.lang_to_id) and "transcribe" in settings.task_to_id
