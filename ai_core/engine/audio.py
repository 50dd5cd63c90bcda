"""The bytes of a sound file, from anybody, to the samples that a speech model hears."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_core.engine.job import InvalidInput

Samples = NDArray[np.float32]

FIELD = "file"
FORMATS = "WAV, FLAC, OGG (Opus, Vorbis) and MP3"
RATES = range(4_000, 384_001)
MOST_CHANNELS = 8
BLOCK = 65_536
"""Frames decoded at once: bounds the memory that many channels at a high rate take."""


def decode(data: bytes, *, rate: int, max_seconds: float) -> Samples:
    """One channel between -1 and 1, `rate` samples a second. The length is checked before anything is decoded.
    Raises InvalidInput."""
    _check_signature(data)
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_header(file, max_seconds)
            blocks = list(_resampled(_mono(file), file.samplerate, rate))
    except soundfile.SoundFileError as error:
        raise InvalidInput(FIELD, f"damaged, or no sound that can be read; {FORMATS} can") from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not samples.size:
        raise InvalidInput(FIELD, "no sound in it")
    return np.clip(samples, -1.0, 1.0)


def _check_signature(data: bytes) -> None:
    """Let libsndfile see only formats that people send: it knows thirty more, some of them rarely looked at."""
    if not data:
        raise InvalidInput(FIELD, "empty")
    riff = data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE"
    mpeg = data[:3] == b"ID3" or (data[0] == 0xFF and data[1:2] >= b"\xe0")
    if not (riff or mpeg or data[:4] in (b"fLaC", b"OggS")):
        raise InvalidInput(FIELD, f"{_name(data)} cannot be read; {FORMATS} can")


def _name(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "M4A or MP4"
    return "WebM" if data[:4] == b"\x1aE\xdf\xa3" else "this type of file"


def _check_header(file: Any, max_seconds: float) -> None:
    if file.samplerate not in RATES or not 0 < file.channels <= MOST_CHANNELS:
        raise InvalidInput(FIELD, f"{file.channels} channels of {file.samplerate} samples a second cannot be read")
    seconds = file.frames / file.samplerate
    if seconds > max_seconds:
        raise InvalidInput(FIELD, f"lasts {seconds:.0f} s, at most {max_seconds:.0f} s are possible")


def _mono(file: Any) -> Iterator[Samples]:
    """The mean of the channels, block by block, as far as the header says."""
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        if not np.isfinite(block).all():
            raise InvalidInput(FIELD, "holds samples that are not numbers")
        yield block.mean(axis=1)


def _resampled(blocks: Iterator[Samples], rate: int, wanted: int) -> Iterator[Samples]:
    if rate == wanted:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
