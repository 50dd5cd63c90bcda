"""Speech to text with tiny random Whisper-shaped models; the oracle is the library's own generate."""

from __future__ import annotations

import gc
import shutil
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

from ai_core.engine.audio import Samples
from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.transformers.whisper import WhisperTranscriber
from ai_core.engine.batch_engine import BatchEngine
from ai_core.engine.job import InvalidInput, JobCancelled, JobLate
from ai_core.engine.speech import Heard, Transcript, Window
from tests.ai_core.engine.sounds import RATE, file, silence, tone
from tests.ai_core.engine.tiny_whisper import SPECIAL, TOKENS, WINDOW_SECONDS, change_json, write_tiny_whisper

SpeechEngine = BatchEngine[Window, Heard]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("speech") / "tiny-whisper")


@pytest.fixture(scope="module")
def transcriber(folder: Path) -> Iterator[WhisperTranscriber]:
    transcriber = WhisperTranscriber(folder, threads=1)
    yield transcriber
    transcriber.close()


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same model in a folder to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def transcribe(transcriber: WhisperTranscriber, *audio: bytes, **options: Any) -> list[Transcript]:
    engine: SpeechEngine = BatchEngine(transcriber)
    jobs = [transcriber.job(each, **options) for each in audio]
    for job in jobs:
        engine.submit(job)
    while engine.step():
        pass
    return [job.result(0) for job in jobs]


def by_the_library(folder: Path, samples: Samples, language: str) -> str:
    """What generate makes of one window, from the features on."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    tokenizer = WhisperTokenizer.from_pretrained(folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    ids = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(SPECIAL), strict=True))
    settings = model.generation_config
    settings.lang_to_id = {token: ids[token] for token in ("<|fr|>", "<|en|>")}
    settings.task_to_id = {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]}
    settings.no_timestamps_token_id = ids["<|notimestamps|>"]
    settings.is_multilingual = True
    features = extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
    with torch.no_grad():
        tokens = model.generate(features, language=language, task="transcribe", max_new_tokens=TOKENS, num_beams=1)
    return str(tokenizer.batch_decode(tokens, skip_special_tokens=True)[0]).strip()


def test_the_model_describes_itself(transcriber: WhisperTranscriber) -> None:
    assert transcriber.info.name == "tiny-whisper"
    assert transcriber.info.languages == ("en", "fr")
    assert transcriber.info.size_bytes > 100_000


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_recording_gives_what_the_library_gives(folder: Path, transcriber: WhisperTranscriber, language: str) -> None:
    for samples in (tone(1.3, 300), tone(2.0, 2500), tone(0.4, 700, loudness=0.1)):
        (transcript,) = transcribe(transcriber, file(samples, subtype="FLOAT"), language=language)
        assert transcript.text == by_the_library(folder, samples, language)
        assert transcript.language == language
        assert transcript.duration_s == len(samples) / RATE


def test_french_is_the_language_unless_another_is_asked_for(transcriber: WhisperTranscriber) -> None:
    (usual,), (french,) = (transcribe(transcriber, file(tone(1)), **options) for options in ({}, {"language": "fr"}))
    assert usual == french
    (english,) = transcribe(transcriber, file(tone(1)), language="en")
    assert english.text != french.text, "this model must hear the difference, for the test to show anything"


def test_the_model_finds_the_language_out(folder: Path, transcriber: WhisperTranscriber) -> None:
    (transcript,) = transcribe(transcriber, file(tone(1.0), subtype="FLOAT"), language=None)
    assert transcript.language in ("fr", "en")
    assert transcript.text == by_the_library(folder, tone(1.0), transcript.language or "")


def test_recordings_of_several_people_share_batches_and_change_nothing(transcriber: WhisperTranscriber) -> None:
    random = np.random.default_rng(2)
    noise = file(random.normal(0, 0.1, 7 * RATE).astype(np.float32), kind="FLAC")
    voice = file(tone(1.0, 600, rate=48_000), rate=48_000, kind="OGG", subtype="OPUS")
    sounds = [noise, voice, file(tone(1.5, 1200))]
    alone = [transcribe(transcriber, sound)[0] for sound in sounds]
    engine: SpeechEngine = BatchEngine(transcriber)
    jobs = [transcriber.job(sound) for sound in sounds]
    engine.start()
    for job in jobs:
        engine.submit(job)
    assert [job.result(60) for job in jobs] == alone
    engine.stop()
    assert len({transcript.text for transcript in alone}) == len(sounds)
    assert engine.stats().steps_total < engine.stats().pieces_total


def test_a_long_recording_is_heard_window_by_window(folder: Path, transcriber: WhisperTranscriber) -> None:
    pieces = [tone(1.5, 300), silence(0.3), tone(1.3, 900), silence(0.3), tone(1.4, 2000)]
    whole = np.concatenate(pieces)
    (transcript,) = transcribe(transcriber, file(whole, subtype="FLOAT"))
    assert transcript.duration_s == 4.8
    assert len(transcript.segments) == 3
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)
    assert [segment.start_s for segment in transcript.segments[1:]] == [
        segment.end_s for segment in transcript.segments[:-1]
    ]
    for segment in transcript.segments:
        samples = whole[round(segment.start_s * RATE) : round(segment.end_s * RATE)]
        assert segment.text == by_the_library(folder, samples, "fr")


def test_in_silence_nothing_is_said(transcriber: WhisperTranscriber) -> None:
    (nothing,) = transcribe(transcriber, file(silence(5.0)))
    assert (nothing.text, nothing.segments, nothing.language, nothing.duration_s) == ("", (), "fr", 5.0)
    (late,) = transcribe(transcriber, file(np.concatenate([silence(2.5), tone(1.0)])))
    assert [segment.start_s > 1.3 for segment in late.segments] == [True]


def test_cancelling_ends_a_transcript_between_steps(folder: Path) -> None:
    transcriber = WhisperTranscriber(folder, threads=1)
    engine: SpeechEngine = BatchEngine(transcriber)
    job = transcriber.job(file(tone(1.0)))
    asked: list[None] = []
    cancelled_at = 5

    def cancel_soon() -> bool:
        asked.append(None)
        if len(asked) == cancelled_at:
            job.cancel()
        return not job.ended

    computing = transcriber.compute
    transcriber.compute = lambda pieces, wanted: computing(  # type: ignore[method-assign]
        pieces, lambda: cancel_soon() and wanted()
    )
    engine.submit(job)
    assert engine.step()
    with pytest.raises(JobCancelled):
        job.result(0)
    assert len(asked) == cancelled_at < TOKENS
    transcriber.close()


def test_a_deadline_ends_a_transcript(transcriber: WhisperTranscriber) -> None:
    engine: SpeechEngine = BatchEngine(transcriber)
    job = transcriber.job(file(tone(1.0)), deadline=time.monotonic() + 3600)
    engine.submit(job)
    job.deadline = time.monotonic()
    engine.step()
    with pytest.raises(JobLate):
        job.result(0)


@pytest.mark.parametrize(
    ("audio", "options", "message"),
    [
        (b"", {}, "file: empty"),
        (b"PK\x03\x04" + b"\x00" * 50, {}, "file: .* cannot be read"),
        (file(tone(1.0)), {"language": "de"}, "language: .* it knows en, fr"),
        (file(tone(1.0)), {"language": "<|fr|>"}, "language: "),
        (file(np.zeros(601 * 4_000, np.int16), rate=4_000), {}, "file: lasts 601 s, at most 600 s"),
        (b"RIFF" + b"\x00" * (25 * 2**20), {}, "file: .* bytes, at most"),
    ],
)
def test_what_cannot_be_transcribed_is_refused_by_name(
    transcriber: WhisperTranscriber, audio: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        transcriber.job(audio, **options)


def test_limits_are_the_operators(folder: Path) -> None:
    strict = WhisperTranscriber(folder, threads=1, most_bytes=40_000, most_seconds=1.0)
    with pytest.raises(InvalidInput, match="at most 40000"):
        strict.job(file(tone(2.0)))
    with pytest.raises(InvalidInput, match="at most 1 s"):
        strict.job(file(tone(2.0), subtype="ULAW"))


def test_a_model_of_english_only_says_so(tmp_path: Path) -> None:
    folder = write_tiny_whisper(tmp_path / "english", generation={"is_multilingual": False})
    english = WhisperTranscriber(folder, threads=1)
    assert english.info.languages == ("en",)
    with pytest.raises(InvalidInput, match="language: .* it knows en"):
        english.job(file(tone(1.0)))
    (transcript,) = transcribe(english, file(tone(1.0)), language=None)
    assert transcript.language == "en"
    assert transcript.text


def test_folders_that_hold_no_whisper_are_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"nothing has no config\.json"):
        WhisperTranscriber(tmp_path / "nothing")
    change_json(copy / "config.json", model_type="llama")
    with pytest.raises(BackendError, match="model_type is llama, not whisper"):
        WhisperTranscriber(copy)
    (copy / "config.json").write_text("[1]")
    with pytest.raises(BackendError, match=r"no config\.json that names a model_type"):
        WhisperTranscriber(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_folder_with_a_broken_file_is_refused(copy: Path, name: str, damage: str) -> None:
    if damage == "missing":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes((copy / name).read_bytes()[:50])
    with pytest.raises(BackendError, match="copy"):
        WhisperTranscriber(copy)


def test_weights_that_are_missing_are_not_made_up(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["model.decoder.layers.1.fc1.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match=r"lacks weights: .*fc1\.weight"):
        WhisperTranscriber(copy)


def test_features_that_do_not_fit_the_model_are_refused(copy: Path) -> None:
    change_json(copy / "preprocessor_config.json", chunk_length=3 * WINDOW_SECONDS)
    with pytest.raises(BackendError, match="does not fit"):
        WhisperTranscriber(copy)


def test_pickled_weights_are_not_opened(copy: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(BackendError):
        WhisperTranscriber(copy)


def test_old_checkpoints_that_translate_or_sample_by_default_transcribe_greedily(copy: Path, folder: Path) -> None:
    values = {"task": "translate", "language": "en", "num_beams": 2, "do_sample": True, "max_new_tokens": 3}
    change_json(copy / "generation_config.json", **values)
    odd = WhisperTranscriber(copy, threads=1)
    (transcript,) = transcribe(odd, file(tone(1.0), subtype="FLOAT"))
    assert transcript.text == by_the_library(folder, tone(1.0), "fr")


def test_unloading_gives_the_memory_back(tmp_path: Path) -> None:
    transcriber = WhisperTranscriber(write_tiny_whisper(tmp_path / "wide", width=64), threads=1)
    transcribe(transcriber, file(tone(1.0)))
    parts = [transcriber._model, *transcriber._model.parameters()]
    alive = [weakref.ref(part) for part in parts]
    del parts
    transcriber.close()
    gc.collect()
    assert [reference() for reference in alive] == [None] * len(alive)
    transcriber.close()
    with pytest.raises(BackendError, match="unloaded"):
        transcriber.compute([Window(tone(1.0), "fr")], lambda: True)
