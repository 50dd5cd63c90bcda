"""Speech to text: what a model that hears promises, whatever library computes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ai_core.engine.audio import Samples
from ai_core.engine.batch_engine import BatchModel
from ai_core.engine.job import Job

FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class SpeechModelInfo:
    """`languages` are ISO 639-1 codes; `size_bytes` are the weights."""

    name: str
    languages: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Sound that is heard at once; language None: the model finds out."""

    samples: Samples
    language: str | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said in a window; language None where nothing was."""

    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Segment:
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """`language` of most of the text; None when nothing was said and none was asked for. `segments` are the windows
    with text: up to half a minute each."""

    text: str
    language: str | None
    duration_s: float
    segments: tuple[Segment, ...]


TranscriptionJob = Job[Window, Heard, Transcript]


class Transcriber(BatchModel[Window, Heard], Protocol):
    """To be run by a BatchEngine. `info` and `job` are for any thread."""

    @property
    def info(self) -> SpeechModelInfo: ...

    def job(self, audio: bytes, *, language: str | None = FRENCH, deadline: float | None = None) -> TranscriptionJob:
        """To be submitted to the engine: the bytes of a sound file, decoded here and held until the end (64 kB for a
        second). `language` as in `info`; None lets the model find out. Raises InvalidInput."""

    def close(self) -> None:
        """Give the memory back, once the engine has stopped."""


def join(spans: Sequence[tuple[float, float]], language: str | None, heard: Sequence[Heard]) -> Transcript:
    """`spans` are start and end of the windows in seconds; `language` is the one asked for."""
    segments = [Segment(*span, part.text) for span, part in zip(spans, heard, strict=True) if part.text]
    lengths: Counter[str] = Counter()
    for part in heard:
        if part.language is not None:
            lengths[part.language] += len(part.text)
    spoken = max(lengths, key=lambda code: lengths[code], default=language)
    return Transcript(" ".join(segment.text for segment in segments), spoken, spans[-1][1], tuple(segments))
