"""What a request can ask for beyond text: log-probabilities, an adapter; and what the engine is told of who asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_core.catalog.entry import ModelEntry
from ai_core.engine.request import GenerationRequest
from tests.ai_core.engine.tiny_model import write_tiny_adapter, write_tiny_model
from tests.fakes import Core, build_core

PLAIN = {"grounding": False, "max_tokens": 6, "temperature": 0}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_tiny_model(folder / "tiny.gguf")
    write_tiny_adapter(folder / "droit.gguf", seed=3)
    return folder


@pytest.fixture
def real(tmp_path: Path, files: Path) -> Iterator[Core]:
    """A real model with random weights and one adapter."""
    model = ModelEntry.from_path(files / "tiny.gguf", adapters={"droit": files / "droit.gguf"})
    built = build_core(tmp_path, model=model, context_length=2048)
    yield built
    built.parts.model.stop()


def chat(core: Core, headers: dict[str, str] | None = None, **body: Any) -> Any:
    body = {"message": "Bonjour", **PLAIN, **body}
    headers = {**(headers or core.headers("chat")), "Cache-Control": "no-cache"}
    return core.app.test_client().post("/api/v1/chat", json=body, headers=headers)


def test_log_probabilities_come_with_the_answer(real: Core) -> None:
    answer = chat(real, parameters={"logprobs": 2}).get_json()
    tokens = answer["logprobs"]
    assert len(tokens) == answer["completion_tokens"] == 6
    assert b"".join(bytes(token["bytes"]) for token in tokens).decode() == answer["response"]
    for token in tokens:
        assert token["logprob"] < 0
        assert token["top_logprobs"][0]["token"] == token["token"], "greedy takes the likeliest"
        assert len(token["top_logprobs"]) == 2
    assert answer["parameters_used"]["logprobs"] == 2


def test_without_asking_there_are_none(real: Core) -> None:
    answer = chat(real).get_json()
    assert "logprobs" not in answer
    assert "logprobs" not in answer["parameters_used"]


def test_a_stream_brings_them_with_its_tokens(real: Core) -> None:
    raw = chat(real, stream=True, parameters={"logprobs": 0}).get_data(as_text=True)
    data = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith("data: ")]
    streamed = [token for event in data if "text" in event for token in event.get("logprobs", [])]
    assert streamed == data[-1]["logprobs"]
    assert len(streamed) == 6
    assert all(token["top_logprobs"] == [] for token in streamed)


@pytest.mark.parametrize("name", ["droit", "tiny+droit"])
def test_an_adapter_answers_under_its_own_name_or_after_its_model(real: Core, name: str) -> None:
    bare, adapted = chat(real, model="tiny").get_json(), chat(real, model=name).get_json()
    assert (bare["model"], adapted["model"]) == ("tiny", "tiny+droit")
    assert adapted["response"] != bare["response"]


def test_an_unknown_adapter_is_refused_with_those_there_are(real: Core) -> None:
    body = chat(real, model="tiny+fiscal").get_json()
    assert (body["status"], body["code"]) == (404, "unknown_model")
    assert "tiny, tiny+droit" in body["message"]


@pytest.fixture
def submitted(core: Core, monkeypatch: pytest.MonkeyPatch) -> list[GenerationRequest]:
    """Every request that the engine got."""
    engine = core.parts.model.current().engine
    requests: list[GenerationRequest] = []
    submit = engine.submit

    def watched(request: GenerationRequest) -> None:
        requests.append(request)
        submit(request)

    monkeypatch.setattr(engine, "submit", watched)
    return requests


def test_a_conversation_belongs_to_one_person_of_one_channel_of_one_key(
    core: Core, submitted: list[GenerationRequest]
) -> None:
    ours, theirs = core.headers("chat"), core.headers("chat")
    for headers, channel, user in (
        (ours, "telegram", "1"),
        (ours, "telegram", "1"),
        (ours, "telegram", "2"),
        (ours, "mail", "1"),
        (theirs, "telegram", "1"),
    ):
        chat(core, headers, channel=channel, user_id=user)
    keys = [request.conversation for request in submitted]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_somebody_unknown_has_no_conversation(core: Core, submitted: list[GenerationRequest]) -> None:
    chat(core, channel="telegram")
    assert submitted[0].conversation is None


def test_names_that_run_into_one_another_do_not_share_a_conversation(
    core: Core, submitted: list[GenerationRequest]
) -> None:
    headers = core.headers("chat")
    chat(core, headers, channel="a", user_id='b", "c')
    chat(core, headers, channel="a", user_id='b\\", \\"c')
    assert submitted[0].conversation != submitted[1].conversation


def test_keys_take_turns(core: Core, submitted: list[GenerationRequest]) -> None:
    ours, theirs = core.headers("chat"), core.headers("chat")
    for headers in (ours, ours, theirs):
        chat(core, headers)
    owners = [request.owner for request in submitted]
    assert owners[0] == owners[1] != owners[2]


@pytest.mark.parametrize(
    ("parameter", "value"), [("grammar", "root ::= ("), ("json_schema", {"type": "nonsense"}), ("grammar", 'a ::= "b"')]
)
def test_a_grammar_that_is_none_is_refused_by_its_name(real: Core, parameter: str, value: Any) -> None:
    response = chat(real, parameters={parameter: value})
    body = response.get_json()
    assert (response.status_code, body["code"]) == (422, "invalid_fields")
    assert list(body["errors"]) == [parameter]
    assert not body["errors"][parameter][0].startswith(parameter)


def test_an_answer_keeps_to_its_schema(real: Core) -> None:
    schema = {"type": "object", "properties": {"jours": {"enum": [25, 30]}}, "required": ["jours"]}
    answer = chat(real, max_tokens=60, parameters={"json_schema": schema}).get_json()
    assert json.loads(answer["response"])["jours"] in (25, 30)
    assert answer["parameters_used"]["json_schema"] == schema


def test_metrics_tell_how_long_the_first_word_took_and_how_answers_ended(core: Core) -> None:
    chat(core)
    chat(core, stream=True).get_data()
    text = core.app.test_client().get("/metrics", headers=core.headers("admin")).get_data(as_text=True)
    assert "ai_core_time_to_first_token_seconds_count 2.0" in text
    assert 'ai_core_answers_total{finish_reason="length"} 2.0' in text
    assert 'ai_core_model_info{format="gguf",model="scripted"} 1.0' in text
    assert "ai_core_kv_cache_usage_ratio " in text
