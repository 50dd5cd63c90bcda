"""The speech model that the settings name: sound in, text out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ai_core.catalog import memory
from ai_core.catalog.entry import NOT_IN_NAMES
from ai_core.catalog.model_folder import safetensors_files
from ai_core.catalog.safetensors_header import read_tensors
from ai_core.engine.speech import Transcriber, Transcript
from ai_core.extra_model import ExtraModel

MAX_WAITING = 8  # a recording holds up to 38 MB of samples while it waits
COMPUTED_BYTES = 4  # of a number: speech is computed in f32


class SpeechModel:
    """`path` is a Whisper folder as transformers saves it. A recording may have `most_bytes` and last `most_seconds`.
    Loaded at the first request."""

    def __init__(
        self, path: Path, *, most_bytes: int, most_seconds: float, timeout: float, idle_seconds: float
    ) -> None:
        self.id = NOT_IN_NAMES.sub("-", path.name)
        self._path = path
        self.most_bytes = most_bytes
        self._most_seconds = most_seconds
        self.memory: ExtraModel[Transcriber] = ExtraModel(
            self.id, self._load, max_waiting=MAX_WAITING, timeout=timeout, idle_seconds=idle_seconds
        )

    def transcribe(
        self, audio: bytes, *, language: str | None = None, is_wanted: Callable[[], bool] = lambda: True
    ) -> Transcript:
        """What is said in a sound file. `language` (ISO 639-1) None: the model finds out. Raises ServiceError (see
        ExtraModel), and InvalidFields naming `file` or `language`."""
        return self.memory.run(
            lambda model, deadline: model.job(audio, language=language, deadline=deadline), is_wanted=is_wanted
        )

    def _load(self) -> Transcriber:
        from ai_core.engine.backends.transformers.whisper import WhisperTranscriber

        tensors = (tensor for file in safetensors_files(self._path) for tensor in read_tensors(file))
        memory.require(COMPUTED_BYTES * sum(tensor.elements for tensor in tensors) + memory.TORCH_BYTES)
        return WhisperTranscriber(self._path, most_bytes=self.most_bytes, most_seconds=self._most_seconds)
