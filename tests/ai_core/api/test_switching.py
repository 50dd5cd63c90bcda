"""Models change while clients ask: every answer is whole, every refusal says when to come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_core.engine.backends.base import DecodeFailed
from ai_core.engine.backends.scripted import ScriptedBackend
from tests.fakes import SCRIPTED, Core, build_core
from tests.waiting import until

SWITCHES = 12
CLIENTS = 4
ANSWER = "Une réponse entière."
OTHER = replace(SCRIPTED, id="other")


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """Each model has an engine and a memory of its own, as real ones have."""
    built = build_core(tmp_path, RATE_LIMIT_PER_MINUTE="100000", RATE_LIMIT_GLOBAL_PER_MINUTE="100000")
    built.loader.make_backend = lambda: ScriptedBackend(ANSWER, slots=4, step_seconds=0.0005)
    built.parts.model.load(OTHER)
    yield built
    built.parts.model.stop()


def ask_until(core: Core, done: threading.Event, responses: list[Any]) -> None:
    headers = core.headers("chat")
    while not done.is_set():
        client = core.app.test_client()
        responses.append(client.post("/api/v1/chat", json={"message": "a", "grounding": False}, headers=headers))


def until_more(responses: list[Any], number: int) -> None:
    known = len(responses)
    until(lambda: len(responses) > known + number)


@pytest.mark.parametrize("beside", [True, False])
def test_switching_under_traffic_loses_no_answer(core: Core, beside: bool) -> None:
    core.loader.beside = beside
    done, responses = threading.Event(), list[Any]()
    with ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(ask_until, core, done, responses) for _ in range(CLIENTS)]
        try:
            for number in range(SWITCHES):
                core.parts.model.load((SCRIPTED, OTHER)[number % 2])
                until_more(responses, CLIENTS)  # those under way, and at least one that asked this model
        finally:
            done.set()
        for client in asking:
            client.result()
    answers = [response.get_json() for response in responses if response.status_code == 200]
    assert {answer["response"] for answer in answers} == {ANSWER}
    assert {answer["finish_reason"] for answer in answers} == {"stop"}
    refused = [response for response in responses if response.status_code != 200]
    assert all(response.status_code == 503 and int(response.headers["Retry-After"]) > 0 for response in refused)
    if beside:
        assert refused == [], "with room for both there is no gap"
        assert {answer["model"] for answer in answers} == {"scripted", "other"}


def test_readiness_says_what_serves_what_comes_and_what_failed(core: Core) -> None:
    def detail() -> str:
        body = core.app.test_client().get("/health/ready").get_json()
        text: str = body["components"]["model"]["detail"]
        return text

    assert detail() == "other is loaded."
    core.loader.allowed.clear()
    core.parts.model.begin(SCRIPTED)
    assert detail() == "other is loaded; scripted is being loaded."
    core.loader.failure = RuntimeError("no")
    core.loader.allowed.set()
    core.parts.model.wait(10)
    assert detail() == "other is loaded; scripted could not be loaded."


def test_a_computation_that_fails_fails_its_requests_and_the_next_one_works(core: Core) -> None:
    def ask(message: str) -> Any:
        body = {"message": message, "grounding": False}
        return core.app.test_client().post("/api/v1/chat", json=body, headers=core.headers("chat"))

    core.loader.backends[-1].fail_next(DecodeFailed("out of order"))
    response = ask("a")
    assert (response.status_code, response.get_json()["code"]) == (500, "generation_failed")
    assert "out of order" not in response.get_data(as_text=True), "the log is for that"
    assert ask("a").get_json()["response"] == ANSWER
