"""Sound files of people, and of people with bad intentions."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from ai_core.engine.audio import Samples, decode
from ai_core.engine.job import InvalidInput
from tests.ai_core.engine.sounds import RATE, file, silence, tone


def heard(data: bytes) -> Samples:
    return decode(data, rate=RATE, max_seconds=60)


def pitch(samples: Samples) -> float:
    """The strongest frequency, in hertz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [
        ("WAV", "PCM_16", 8_000),
        ("WAV", "PCM_24", 44_100),
        ("WAV", "FLOAT", 48_000),
        ("WAV", "ULAW", 8_000),
        ("WAVEX", "PCM_16", 16_000),
        ("FLAC", "PCM_16", 44_100),
        ("OGG", "VORBIS", 44_100),
        ("OGG", "OPUS", 48_000),  # a Telegram voice message
        ("MP3", "MPEG_LAYER_III", 44_100),
    ],
)
def test_usual_formats_become_one_channel_at_the_models_rate(kind: str, subtype: str, rate: int) -> None:
    left, right = tone(1.5, 440, rate=rate), silence(1.5, rate)
    samples = heard(file(np.stack([left, right], axis=1), rate=rate, kind=kind, subtype=subtype))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(1.5 * RATE, rel=0.05)  # MP3 pads
    assert pitch(samples) == pytest.approx(440, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.03)


def test_sound_at_the_models_own_rate_is_not_touched() -> None:
    samples = tone(1.0)
    assert np.array_equal(heard(file(samples, subtype="FLOAT")), samples)


def test_sound_longer_than_a_block_is_resampled_without_seams() -> None:
    whole = heard(file(tone(10, 440, rate=44_100), rate=44_100, subtype="FLOAT"))
    expected = tone(10, 440)
    assert len(whole) == pytest.approx(len(expected), abs=2)
    assert np.abs(whole[200 : len(expected) - 200] - expected[200:-200]).max() < 0.01


def test_float_samples_beyond_full_scale_are_clipped() -> None:
    samples = heard(file(1e30 * tone(0.1), subtype="FLOAT"))
    assert float(np.abs(samples).max()) == 1.0


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("voice.ogg", file(tone(1), kind="OGG", subtype="OPUS", rate=48_000))
    return stream.getvalue()


WAV = file(tone(1.0))
OPUS = file(tone(1.0, rate=48_000), rate=48_000, kind="OGG", subtype="OPUS")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xff", "cannot be read"),
        (b"\xff\xfb", "damaged"),
        (zipped(), "this type of file cannot be read"),
        (b"%PDF-1.7 ...", "this type of file cannot be read"),
        (b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00", "M4A or MP4 cannot be read; WAV, FLAC"),
        (b"\x1aE\xdf\xa3" + b"\x00" * 100, "WebM cannot be read"),
        (b"FORM\x00\x00\x00\x2eAIFF" + b"\x00" * 100, "cannot be read"),  # libsndfile could
        (WAV[:20], "damaged"),
        (WAV[:44], "no sound in it"),
        pytest.param(OPUS[:30], "damaged", id="Opus"),
        (b"OggS" + b"\x00" * 200, "damaged"),
        (b"fLaC" + b"\xff" * 200, "damaged"),
        (b"ID3" + b"\x00" * 200, "damaged"),
        (b"RIFF\xff\xff\xff\xffWAVE" + b"\x00" * 100, "damaged"),
        (file(np.zeros((100, 9), np.float32)), "9 channels of 16000 samples"),
        (file(silence(1.0), rate=1_000), "1 channels of 1000 samples"),
        (file(silence(0)), "no sound in it"),
    ],
)
def test_what_is_no_sound_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=f"^file: .*{reason}") as refusal:
        heard(data)
    assert refusal.value.field == "file"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_refused(bad: float) -> None:
    samples = tone(1.0)
    samples[7_000] = bad
    with pytest.raises(InvalidInput, match="not numbers"):
        heard(file(samples, subtype="FLOAT"))


def test_ten_hours_of_silence_are_refused_by_their_header() -> None:
    data = file(np.zeros(10 * 3600 * 8_000, np.int16), rate=8_000, kind="FLAC")
    assert len(data) < 2**20
    with pytest.raises(InvalidInput, match="lasts 36000 s, at most 60 s"):
        heard(data)


def test_a_header_that_promises_more_than_there_is_gives_what_there_is() -> None:
    promising = WAV[:40] + struct.pack("<I", 2 * 50 * RATE) + WAV[44:]
    assert len(heard(promising)) == RATE
    assert len(heard(WAV[: 44 + RATE])) == RATE // 2  # cut in the middle


def refused_by_name(data: bytes) -> bool:
    """Whether `data` is refused at all; any other error than a refusal fails the test."""
    try:
        samples = heard(data)
    except InvalidInput as refusal:
        return refusal.field == "file"
    assert np.isfinite(samples).all()
    return False


def test_a_voice_message_cut_in_the_middle_is_heard_or_refused() -> None:
    refused = [refused_by_name(OPUS[:cut]) for cut in range(30, len(OPUS), 97)]
    assert refused[0]
    assert not refused[-1]


def test_flipped_bytes_never_get_further_than_a_refusal() -> None:
    random = np.random.default_rng(1)
    refused = set()
    for original in (WAV, OPUS, file(tone(0.5), kind="FLAC"), file(tone(0.5), kind="MP3")):
        for _ in range(60):
            data = bytearray(original)
            for place in random.integers(4, len(data), 8):
                data[place] = random.integers(256)
            refused.add(refused_by_name(bytes(data)))
    assert refused == {False, True}
