"""The same question is answered once: kept for the next one, shared by those who ask at the same time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_core.answer import Answer
from ai_core.answer_cache import AnswerCache, AnswerKey
from tests.fakes import Core, build_core
from tests.redis_server import RedisServer

CODE = {"L1-1": "La lampe est allumée le lundi."}
CHAT = "/api/v1/chat"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def headers(core: Core) -> dict[str, str]:
    return core.headers()


def ask(core: Core, headers: dict[str, str], message: str = "Une question ?", **fields: Any) -> dict[str, Any]:
    response = core.app.test_client().post(CHAT, json={"message": message, **fields}, headers=headers)
    assert response.status_code == 200, response.json
    answer: dict[str, Any] = response.get_json()
    return answer


def asked(core: Core) -> int:
    """How many prompts the model has read."""
    return sum(chunk.position == 0 or chunk.sampler is not None for batch in core.backend.batches for chunk in batch)


def cache_of(core: Core) -> AnswerCache:
    cache = core.parts.assistant._cache
    assert cache is not None
    return cache


def test_the_second_one_who_asks_gets_the_answer_that_is_there(core: Core, headers: dict[str, str]) -> None:
    core.install_code(CODE)
    first = ask(core, headers, "Que dit l'article L1-1 ?", user_id="marie")
    steps = len(core.backend.batches)
    second = ask(core, core.headers(), "Que dit l'article L1-1 ?", user_id="paul")
    assert (first["cached"], second["cached"]) == (False, True)
    assert len(core.backend.batches) == steps
    changing = ("cached", "processing_time", "timestamp")
    assert {name: first[name] for name in first if name not in changing} == {
        name: second[name] for name in second if name not in changing
    }
    assert first["sources"]


@pytest.mark.parametrize(
    "other",
    [
        {"message": "Une autre question ?"},
        {"temperature": 0.9},
        {"max_tokens": 3},
        {"grounding": False},
        {"channel": "telegram"},  # another profile
        {"context": [{"role": "user", "content": "Avant"}, {"role": "assistant", "content": "Oui."}]},
    ],
)
def test_what_differs_is_computed(core: Core, headers: dict[str, str], other: dict[str, Any]) -> None:
    core.install_code(CODE)
    ask(core, headers)
    assert not ask(core, headers, **other)["cached"]


def test_a_conversation_is_never_kept(core: Core, headers: dict[str, str]) -> None:
    turns = [{"role": "user", "content": "Avant"}, {"role": "assistant", "content": "Oui."}]
    assert not any(ask(core, headers, context=turns)["cached"] for _ in range(2))


def test_a_new_revision_of_the_code_asks_anew(core: Core, headers: dict[str, str]) -> None:
    core.install_code(CODE)
    ask(core, headers)
    core.install_code({**CODE, "L1-2": "La lampe est éteinte le mardi."})
    core.parts.knowledge._next_look = 0.0
    assert not ask(core, headers)["cached"]


def test_cache_control_asks_anew_and_refreshes_or_keeps_nothing(core: Core, headers: dict[str, str]) -> None:
    assert not ask(core, {**headers, "Cache-Control": "no-store"})["cached"]
    assert not ask(core, headers)["cached"]
    assert not ask(core, {**headers, "Cache-Control": "no-cache"})["cached"]
    assert ask(core, headers)["cached"]


def test_a_question_that_names_somebody_is_kept_for_that_person_alone(core: Core, headers: dict[str, str]) -> None:
    named = "Je m'appelle Marie Martin, quel est mon préavis ?"
    assert not ask(core, headers, named, user_id="marie")["cached"]
    assert ask(core, headers, named, user_id="marie")["cached"]
    assert not ask(core, headers, named, user_id="paul")["cached"]
    assert not any(ask(core, headers, named)["cached"] for _ in range(2))  # nobody known


def test_erasing_a_person_forgets_their_answers(core: Core, headers: dict[str, str]) -> None:
    named = "Mon adresse est marie@example.org, que faire ?"
    ask(core, headers, named, user_id="marie", channel="webapp")
    erased = core.app.test_client().delete("/api/v1/admin/users/webapp/marie", headers=core.headers("admin"))
    assert erased.status_code == 200
    assert not ask(core, headers, named, user_id="marie", channel="webapp")["cached"]


def test_a_stream_is_served_from_what_is_kept_and_feeds_it(core: Core, headers: dict[str, str]) -> None:
    def stream() -> tuple[str, dict[str, Any]]:
        response = core.app.test_client().post(CHAT, json={"message": "Quoi ?", "stream": True}, headers=headers)
        events = [part.split("\ndata: ") for part in response.text.split("\n\n") if part.startswith("event")]
        texts = [json.loads(data)["text"] for name, data in events if name == "event: token"]
        return "".join(texts), json.loads(events[-1][1])

    text, done = stream()
    again, done_again = stream()
    assert text == again == done["response"] == done_again["response"]
    assert (done["cached"], done_again["cached"]) == (False, True)
    assert ask(core, headers, "Quoi ?")["cached"]


def test_eight_who_ask_at_once_share_one_computation(tmp_path: Path) -> None:
    core = build_core(tmp_path, "Bonjour à tous.", step_seconds=0.01)
    headers = core.headers()
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(core, headers))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer["response"] for answer in answers} == {"Bonjour à tous."}
    assert sorted(answer["cached"] for answer in answers) == [False] + [True] * 7
    assert core.parts.model.current().engine.stats().prompt_tokens_total == answers[0]["prompt_tokens"]
    stats = cache_of(core).stats()
    assert (stats.misses, stats.hits + stats.joins) == (1, 7)
    core.parts.model.stop()


def test_whoever_began_may_leave_without_taking_the_answer_along(tmp_path: Path) -> None:
    core = build_core(tmp_path, "abcdefghij" * 5, step_seconds=0.02)
    headers = core.headers()
    began = core.app.test_client().post(CHAT, json={"message": "Quoi ?", "stream": True}, headers=headers)
    pieces = iter(began.response)
    for _ in range(4):
        next(pieces)
    answers: list[dict[str, Any]] = []
    other = threading.Thread(target=lambda: answers.append(ask(core, headers, "Quoi ?")))
    other.start()
    while cache_of(core).stats().joins == 0:
        time.sleep(0.005)
    began.close()
    other.join(30)
    assert answers[0]["response"] == "abcdefghij" * 5
    core.parts.model.stop()


def test_the_generation_stops_when_the_last_reader_leaves(tmp_path: Path) -> None:
    core = build_core(tmp_path, "a" * 500, step_seconds=0.01)
    began = core.app.test_client().post(CHAT, json={"message": "Quoi ?", "stream": True}, headers=core.headers())
    pieces = iter(began.response)
    for _ in range(4):
        next(pieces)
    began.close()
    engine = core.parts.model.current().engine
    until = time.monotonic() + 5
    while engine.stats().slots_busy:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert cache_of(core).stats().entries == 0
    core.parts.model.stop()


def test_two_services_share_what_redis_keeps_and_go_on_without_it(tmp_path: Path, redis: RedisServer) -> None:
    redis.flush()
    cores = [build_core(tmp_path / name, REDIS_URL=redis.url) for name in ("one", "two")]
    one, two = ((core, core.headers()) for core in cores)
    assert not ask(*one)["cached"]
    assert ask(*two)["cached"]
    named = "Je m'appelle Marie Martin."
    ask(*one, named, user_id="marie")
    assert not ask(*two, named, user_id="marie")["cached"]  # never in Redis
    redis.stop()
    try:
        assert not ask(*two, "Autre question ?")["cached"]
        assert ask(*two, "Autre question ?")["cached"]
    finally:
        redis.start()
    for core in cores:
        core.parts.model.stop()


def test_a_cleanup_empties_it(core: Core, headers: dict[str, str]) -> None:
    ask(core, headers)
    kept = cache_of(core).stats().bytes
    wanted = {"operations": ["clean_cache"], "force": True}
    response = core.app.test_client().post("/api/v1/admin/cleanup", json=wanted, headers=core.headers("admin"))
    assert response.json is not None
    assert response.json["space_freed"] == kept > 0
    assert not ask(core, headers)["cached"]


def test_an_old_answer_is_forgotten_and_the_least_used_one_makes_room(core: Core, headers: dict[str, str]) -> None:
    now = 0.0
    cache = AnswerCache(ttl=10, max_bytes=1_500, clock=lambda: now)
    ask(core, headers)
    (_, stored) = next(iter(cache_of(core)._kept.values()))
    answer = Answer(**{**json.loads(stored), "sources": (), "citations": ()})
    for name in "abc":  # about 500 bytes each
        cache._keep(AnswerKey(name), answer)
        cache._own(AnswerKey("a"))
    assert [cache._own(AnswerKey(name)) is not None for name in "abc"].count(True) == cache.stats().entries < 4
    assert cache.stats().bytes <= 1_500
    now = 10.0
    assert cache._own(AnswerKey("a")) is None
