"""A question in, an answer out: whole, streamed, interrupted, without the Code, without a model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ai_core.engine.backends.base import DecodeFailed
from tests.fakes import SCRIPTED, Core, build_core


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Core]:
    """A model that writes 400 bytes in about 4 seconds."""
    built = build_core(tmp_path, "0123456789" * 40, step_seconds=0.01)
    yield built
    built.parts.model.stop()


def post(core: Core, route: str, body: dict[str, Any]) -> Any:
    return core.app.test_client().post(f"/api/v1/{route}", json=body, headers=core.headers("chat"))


def events(raw: str) -> list[tuple[str, dict[str, Any]]]:
    parsed = []
    for block in raw.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            parsed.append((lines["event"], json.loads(lines["data"])))
    return parsed


def wait_until_idle(core: Core, seconds: float = 2.0) -> None:
    engine = core.parts.model.current().engine
    until = time.monotonic() + seconds
    while engine.stats().slots_busy and time.monotonic() < until:
        time.sleep(0.01)
    assert engine.stats().slots_busy == 0


@pytest.mark.parametrize(("route", "field"), [("chat", "message"), ("generate", "prompt")])
def test_an_answer_has_every_field_of_the_contract(core: Core, route: str, field: str) -> None:
    answer = post(core, route, {field: "Bonjour"}).get_json()
    assert answer["response"] == "Bonjour."
    assert answer["model"] == "scripted"
    assert answer["finish_reason"] == "stop"
    assert answer["tokens_used"] == answer["prompt_tokens"] + answer["completion_tokens"]
    assert answer["completion_tokens"] == len("Bonjour.")
    assert answer["processing_time"] >= 0
    assert datetime.fromisoformat(answer["timestamp"]).utcoffset() is not None
    assert answer["cached"] is False
    assert answer["sources"] == answer["citations"] == []


def test_an_answer_is_kept_by_no_cache_on_its_way(core: Core) -> None:
    assert post(core, "chat", {"message": "Bonjour"}).headers["Cache-Control"] == "no-store"


def test_french_is_readable_in_a_terminal(core: Core) -> None:
    assert "n'a pu être vérifiée".encode() in post(core, "chat", {"message": "préavis ?"}).data


def test_without_the_code_the_answer_says_that_it_has_no_source(core: Core) -> None:
    answer = post(core, "chat", {"message": "Quel préavis ?"}).get_json()
    assert answer["grounded"] is False
    assert "sans source" in answer["notice"]
    assert post(core, "chat", {"message": "Quel préavis ?", "grounding": False}).get_json()["notice"] is None


def test_parameters_used_are_those_that_reached_the_model(core: Core) -> None:
    body = {
        "message": "a",
        "temperature": 0.5,
        "max_tokens": 3,
        "seed": 7,
        "stop": ["FIN"],
        "parameters": {"temperature": 1.0, "top_k": 9, "repetition_penalty": 1.2},
    }
    answer = post(core, "chat", body).get_json()
    used = answer["parameters_used"]
    assert (used["temperature"], used["top_k"], used["max_length"], used["seed"]) == (0.5, 9, 3, 7)
    assert used["repetition_penalty"] == 1.2
    assert used["stop"] == ["FIN"]
    assert answer["response"] == "Bon"
    assert answer["finish_reason"] == "length"


def test_do_sample_false_is_greedy(core: Core) -> None:
    used = post(core, "chat", {"message": "a", "parameters": {"do_sample": False}}).get_json()["parameters_used"]
    assert used["temperature"] == 0
    assert used["do_sample"] is False


def test_channels_have_profiles(core: Core) -> None:
    used = post(core, "chat", {"message": "a", "channel": "telegram"}).get_json()["parameters_used"]
    assert (used["temperature"], used["repetition_penalty"], used["max_length"]) == (0.7, 1.1, 512)


def test_the_earlier_clients_body_still_works(core: Core) -> None:
    body = {"message": "Bonjour", "model": "scripted", "temperature": 0.7, "max_tokens": 512, "top_p": 0.9}
    answer = post(core, "chat", body).get_json()
    assert {"response", "model", "processing_time", "tokens_used"} <= set(answer)


def test_a_mail_gets_a_subject_and_its_thread_back(core: Core) -> None:
    mail = {"sender": "a@client.test", "subject": "RE: Re: Congés\n payés", "thread_id": "t-1"}
    answer = post(core, "generate", {"prompt": "Combien de jours ?", "email_context": mail}).get_json()
    assert answer["suggested_subject"] == "Re: Congés payés"
    assert answer["thread_id"] == "t-1"
    assert answer["parameters_used"]["max_length"] == 1500


def test_a_stream_ends_with_the_whole_answer(core: Core) -> None:
    response = post(core, "chat", {"message": "Bonjour", "stream": True})
    assert response.mimetype == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    received = events(response.get_data(as_text=True))
    names = [name for name, _ in received]
    assert names[0] == "sources"
    assert names[-1] == "done"
    assert set(names[1:-1]) == {"token"}
    assert "".join(data["text"] for name, data in received if name == "token") == "Bonjour."
    assert received[-1][1]["response"] == "Bonjour."


def test_a_stream_that_fails_on_the_way_says_so(core: Core) -> None:
    core.backend.fail_next(DecodeFailed("broken"))
    received = events(post(core, "chat", {"message": "a", "stream": True}).get_data(as_text=True))
    assert received[-1][0] == "error"
    assert received[-1][1]["code"] == "generation_failed"
    assert post(core, "chat", {"message": "a"}).status_code == 200, "the next one works"


def test_a_failure_fails_its_request_only(core: Core) -> None:
    core.backend.fail_next(DecodeFailed("broken"))
    assert post(core, "chat", {"message": "a"}).get_json()["code"] == "generation_failed"
    assert post(core, "chat", {"message": "a"}).status_code == 200


def test_a_client_that_leaves_a_stream_frees_its_slot(slow: Core) -> None:
    response = post(slow, "chat", {"message": "a", "stream": True})
    stream = response.iter_encoded()
    assert b"sources" in next(stream)
    assert b"token" in next(stream)
    response.close()
    wait_until_idle(slow)


def test_a_stream_that_is_never_read_frees_its_slot(slow: Core) -> None:
    post(slow, "chat", {"message": "a", "stream": True}).close()
    wait_until_idle(slow)


def test_the_deadline_ends_an_answer_with_what_there_is(tmp_path: Path) -> None:
    core = build_core(tmp_path, "x" * 1000, step_seconds=0.02, REQUEST_TIMEOUT="1")
    answer = post(core, "chat", {"message": "a", "max_tokens": 900}).get_json()
    assert answer["finish_reason"] == "deadline"
    assert 0 < len(answer["response"]) < 1000
    assert "incomplète" in answer["notice"]
    core.parts.model.stop()


def test_while_the_model_loads_questions_get_503_and_a_time(tmp_path: Path) -> None:
    core = build_core(tmp_path, started=False)
    core.loader.allowed.clear()
    core.parts.model.begin(SCRIPTED)
    response = post(core, "chat", {"message": "a"})
    assert response.status_code == 503
    assert response.get_json()["code"] == "model_loading"
    assert int(response.headers["Retry-After"]) > 0
    assert core.app.test_client().get("/health").status_code == 200
    ready = core.app.test_client().get("/health/ready")
    assert ready.status_code == 503
    assert ready.get_json()["components"]["model"] == {
        "status": "down",
        "detail": "scripted is being loaded.",
    }
    core.loader.allowed.set()
    assert core.parts.model.wait(10)
    assert post(core, "chat", {"message": "a"}).status_code == 200
    core.parts.model.stop()


def test_without_a_model_questions_are_refused_until_somebody_loads_one(core: Core) -> None:
    core.parts.model.unload("scripted")
    response = post(core, "chat", {"message": "a"})
    assert (response.status_code, response.get_json()["code"]) == (409, "model_not_loaded")
    assert "Retry-After" not in response.headers
    assert core.app.test_client().get("/health/ready").status_code == 503


def test_at_capacity_the_next_question_gets_503_at_once(tmp_path: Path) -> None:
    core = build_core(tmp_path, "x" * 300, slots=1, step_seconds=0.01, MAX_WAITING_REQUESTS="0")
    first = post(core, "chat", {"message": "a", "stream": True})
    next(first.iter_encoded())
    refused = post(core, "chat", {"message": "b"})
    assert refused.status_code == 503
    assert refused.get_json()["code"] == "at_capacity"
    assert int(refused.headers["Retry-After"]) > 0
    first.close()
    core.parts.model.stop()


def test_a_long_conversation_loses_its_oldest_turns_and_says_so(tmp_path: Path) -> None:
    core = build_core(tmp_path, context_length=1500)
    turns = [
        {"role": role, "content": f"{role} {index} " + "mot " * 40}
        for index in range(10)
        for role in ("user", "assistant")
    ]
    body = {"message": "Et ensuite ?", "context": turns, "grounding": False, "max_tokens": 100}
    answer = post(core, "chat", body).get_json()
    assert "conversation" in answer["notice"]
    prompt = bytes(
        token for chunks in core.backend.batches for chunk in chunks for token in chunk.tokens if token < 256
    )
    assert b"assistant 9 " in prompt
    assert b"user 0 " not in prompt
    core.parts.model.stop()


def test_readiness_tells_each_part(core: Core) -> None:
    body = core.app.test_client().get("/health/ready").get_json()
    assert body["status"] == "degraded"
    assert body["components"]["knowledge"]["status"] == "degraded"
    assert body["components"]["database"]["status"] == "ok"
    assert body["engine"]["slots_total"] == 4


def test_metrics_count_requests_and_tokens(core: Core) -> None:
    post(core, "chat", {"message": "a"})
    text = core.app.test_client().get("/metrics", headers=core.headers("admin")).get_data(as_text=True)
    assert 'http_requests_total{method="POST",route="/api/v1/chat",status="200"} 1.0' in text
    assert "ai_core_tokens_predicted_total 8.0" in text
