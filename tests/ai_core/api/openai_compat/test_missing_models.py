"""Without a model for speech or for embeddings, or with a broken one, the refusal says what is missing."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.ai_core.engine.sounds import file, tone
from tests.fakes import build_core

SOUND = ("a.wav", file(tone(0.5)))


def test_without_a_speech_model_the_refusal_says_which_setting(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="SPEECH_MODEL_DIR") as caught:
        client.audio.transcriptions.create(model="whisper-1", file=SOUND)
    assert caught.value.code == "no_speech_model"


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    core = build_core(tmp_path, SPEECH_MODEL_DIR=str(tmp_path / "empty"))
    with served(core) as address, pytest.raises(openai.InternalServerError) as caught:
        client_of(core, address).audio.transcriptions.create(model="empty", file=SOUND)
    core.parts.model.stop()
    assert (caught.value.status_code, caught.value.code) == (503, "model_unavailable")


def test_without_an_embedding_model_the_refusal_says_which_setting(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="EMBEDDING_MODEL_FILE") as caught:
        client.embeddings.create(model="a", input="b")
    assert caught.value.code == "no_embedding_model"


def test_a_file_that_is_no_embedding_model(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    core = build_core(tmp_path, EMBEDDING_MODEL_FILE=str(tmp_path / "broken.gguf"))
    with served(core) as address, pytest.raises(openai.InternalServerError) as caught:
        client_of(core, address).embeddings.create(model="broken", input="b")
    core.parts.model.stop()
    assert (caught.value.status_code, caught.value.code) == (503, "model_unavailable")
