"""Clients of the earlier system: POST /api/v1/chat {message, model, temperature, max_tokens, top_p}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes import Core, build_core

EARLIER = {"message": "Quel est mon préavis ?", "temperature": 0.7, "max_tokens": 5, "top_p": 0.9}


def chat(core: Core, **body: Any) -> Any:
    return core.app.test_client().post("/api/v1/chat", json={**EARLIER, **body}, headers=core.headers("chat"))


def test_they_get_the_fields_that_they_read(core: Core) -> None:
    answer = chat(core, model="scripted").get_json()
    assert answer["response"] == "Bonjo"
    assert answer["model"] == "scripted"
    assert isinstance(answer["processing_time"], float)
    assert answer["tokens_used"] == answer["prompt_tokens"] + answer["completion_tokens"]
    used = answer["parameters_used"]
    assert (used["temperature"], used["top_p"], used["max_length"]) == (0.7, 0.9, 5)


def test_a_name_of_the_earlier_system_is_answered_where_the_operator_says_so(tmp_path: Path) -> None:
    core = build_core(tmp_path, MODEL_ALIASES="tiny-llama code-du-travail-mistral")
    for name in ("tiny-llama", "code-du-travail-mistral"):
        answer = chat(core, model=name).get_json()
        assert (answer["response"], answer["model"]) == ("Bonjo", "scripted"), "it says who answered"
    assert chat(core, model="phi-2").status_code == 404
    core.parts.model.stop()


def test_any_other_name_is_refused_not_answered_by_another_model_in_silence(core: Core) -> None:
    response = chat(core, model="tiny-llama")
    assert (response.status_code, response.get_json()["code"]) == (404, "unknown_model")
    assert "scripted" in response.get_json()["message"]
