"""Sound files made in tests."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from ai_core.engine.audio import Samples

RATE = 16_000


def tone(seconds: float, pitch: float = 440.0, *, loudness: float = 0.5, rate: int = RATE) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    return (loudness * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(round(seconds * rate), np.float32)


def file(samples: np.ndarray, *, rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """`samples` of one channel, or (samples, channels), in a file of the `kind` that libsndfile calls so."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()
