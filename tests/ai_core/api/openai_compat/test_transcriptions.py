"""Transcriptions with OpenAI's own client, from a Whisper-shaped model with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.ai_core.engine.sounds import file, silence, tone
from tests.ai_core.engine.tiny_whisper import TOKENS, WINDOW_SECONDS, write_tiny_whisper
from tests.fakes import Core, build_core


@pytest.fixture(scope="module")
def served_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Core, openai.OpenAI]]:
    folder = tmp_path_factory.mktemp("speech")
    write_tiny_whisper(folder / "tiny-whisper")
    core = build_core(
        folder / "data",
        SPEECH_MODEL_DIR=str(folder / "tiny-whisper"),
        MAX_AUDIO_LENGTH="400000",
        MAX_AUDIO_SECONDS="8",
        MAX_CONTENT_LENGTH="50000",
    )
    with served(core) as address:
        yield core, client_of(core, address)
    assert core.parts.speech is not None
    core.parts.speech.memory.stop()
    core.parts.model.stop()


@pytest.fixture
def hearer(served_core: tuple[Core, openai.OpenAI]) -> openai.OpenAI:
    return served_core[1]


def hear(client: openai.OpenAI, audio: bytes, name: str = "question.wav", **options: Any) -> Any:
    return client.audio.transcriptions.create(**{"model": "tiny-whisper", "file": (name, audio), **options})


def test_a_recording_becomes_text(hearer: openai.OpenAI) -> None:
    heard = hear(hearer, file(tone(1.0)))
    assert len(heard.text) == TOKENS
    assert heard.model_extra == {}


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", None), ("FLAC", None), ("OGG", "OPUS"), ("MP3", None)])
def test_formats_that_people_send(hearer: openai.OpenAI, kind: str, subtype: str | None) -> None:
    assert hear(hearer, file(tone(1.0), kind=kind, subtype=subtype), name=f"a.{kind.lower()}").text


def test_the_name_that_everybody_asks_for(hearer: openai.OpenAI) -> None:
    assert hear(hearer, file(tone(1.0)), model="whisper-1").text == hear(hearer, file(tone(1.0))).text


def test_plain_text(hearer: openai.OpenAI) -> None:
    text = hear(hearer, file(tone(1.0)), response_format="text")
    assert text.strip() == hear(hearer, file(tone(1.0))).text


def test_the_whole_transcript(hearer: openai.OpenAI) -> None:
    heard = hear(
        hearer, file(tone(3.5)), response_format="verbose_json", language="fr", timestamp_granularities=["segment"]
    )
    assert heard.language == "fr"
    assert heard.duration == pytest.approx(3.5, abs=0.01)
    assert len(heard.segments) >= 2
    assert heard.segments[0].start == 0
    assert all(segment.end - segment.start <= WINDOW_SECONDS for segment in heard.segments)
    assert " ".join(segment.text for segment in heard.segments) == heard.text


def test_silence_has_no_text(hearer: openai.OpenAI) -> None:
    heard = hear(hearer, file(silence(1.0)), response_format="verbose_json")
    assert (heard.text, heard.language) == ("", None)


@pytest.mark.parametrize(
    ("audio", "problem"),
    [
        (b"", "Empty"),
        (b"%PDF-1.7 no sound", "this type of file cannot be read"),
        (b"\x00\x00\x00 ftypM4A " + bytes(64), "M4A"),
        (file(tone(1.0))[:20], "damaged"),
        (file(tone(9.0)), "at most 8 s"),
    ],
)
def test_what_cannot_be_heard_is_refused(hearer: openai.OpenAI, audio: bytes, problem: str) -> None:
    with pytest.raises(openai.BadRequestError, match=f"(?i){problem}") as caught:
        hear(hearer, audio)
    assert caught.value.param == "file"


def test_a_recording_may_be_larger_than_other_bodies_but_not_endless(hearer: openai.OpenAI) -> None:
    assert hear(hearer, file(tone(3.0))).text, "96 kB, where other bodies end at 50 kB"
    with pytest.raises(openai.APIStatusError) as caught:
        hear(hearer, bytes(600_000))
    assert (caught.value.status_code, caught.value.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "klingon"),
        ("language", "de"),
        ("response_format", "srt"),
        ("temperature", 0.5),
        ("prompt", "Code du travail"),
        ("timestamp_granularities", ["word"]),
        ("timestamp_granularities", ["segment"]),
        ("stream", True),
        ("include", ["logprobs"]),
        ("chunking_strategy", "auto"),
    ],
)
def test_what_is_not_there_is_refused_by_its_name(hearer: openai.OpenAI, name: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        hear(hearer, file(tone(0.5)), **{name: value})
    assert caught.value.param in (name, f"{name}[]")


def test_a_form_without_a_file(served_core: tuple[Core, openai.OpenAI]) -> None:
    core, _ = served_core
    headers = core.headers("chat")
    for form in ({"model": "whisper-1"}, {"model": "whisper-1", "file": "text, not a file"}):
        response = core.app.test_client().post(
            "/v1/audio/transcriptions", data=form, headers=headers, content_type="multipart/form-data"
        )
        assert response.status_code == 400
        assert response.get_json()["error"]["param"] == "file"


def test_a_body_that_is_no_form(served_core: tuple[Core, openai.OpenAI]) -> None:
    core, _ = served_core
    response = core.app.test_client().post(
        "/v1/audio/transcriptions", json={"model": "whisper-1"}, headers=core.headers("chat")
    )
    assert response.status_code == 415
    assert "multipart/form-data" in response.get_json()["error"]["message"]


def test_another_model_is_not_found(hearer: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="tiny-whisper") as caught:
        hear(hearer, file(tone(0.5)), model="gpt-4o-transcribe")
    assert caught.value.code == "model_not_found"
