"""Several servers: who gets a request, who is out, who comes back, and what becomes of requests meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ai_core.engine.backends.remote import RemoteEngine
from ai_core.engine.backends.remote import engine as engine_module
from ai_core.engine.engine import EngineBusy
from ai_core.engine.request import FinishReason
from tests.ai_core.engine.backends.remote.asking import ask, eventually, request, text_of
from tests.ai_core.engine.backends.remote.fake_server import KEY, Exchange, FakeServer, words

Serve = Callable[..., FakeServer]
Run = Callable[..., RemoteEngine]


def drop(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.hang_up()


def break_off(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.start()
    exchange.text("Un")
    exchange.hang_up()


def silent(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.start()
    exchange.wait_for_client_to_leave()


def status(code: int, **headers: str) -> Callable[[Exchange, Mapping[str, Any]], None]:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.error(code, "no", "server_error", **headers)

    return reply


def test_the_least_busy_server_gets_the_next_request(serve: Serve, run: Run) -> None:
    small, large = serve("llamacpp", slots=2), serve("llamacpp", slots=4)
    small.reply = large.reply = silent
    engine = run(small, large)
    for _ in range(6):
        engine.submit(request())
    eventually(lambda: (small.in_flight, large.in_flight) == (2, 4))
    assert engine.stats().slots_total == 6


def test_a_server_that_is_away_at_the_start_joins_later(serve: Serve, run: Run) -> None:
    here, away = serve("llamacpp", slots=2), serve("llamacpp", slots=3)
    away.close()
    engine = run(here, away)
    assert engine.stats().slots_total == 2
    away.reopen()
    eventually(lambda: engine.stats().slots_total == 5)


@pytest.mark.parametrize("failure", [drop, status(500), status(502), status(404), status(302), status(401)])
def test_an_answer_that_failed_before_its_first_token_is_had_elsewhere(failure: Any, serve: Serve, run: Run) -> None:
    good, bad = serve("llamacpp", slots=1), serve("llamacpp", slots=64)
    bad.reply = failure
    engine = run(good, bad)
    assert [ask(engine)[0] for _ in range(5)] == ["oui " * 5] * 5
    assert bad.asked


def test_an_answer_that_failed_midway_ends_with_an_error(serve: Serve, run: Run) -> None:
    good, bad = serve("llamacpp", slots=1), serve("llamacpp", slots=64)
    good.reply = bad.reply = break_off
    text, finished = ask(run(good, bad))
    assert (text, finished.reason, finished.completion_tokens) == ("Un", FinishReason.ERROR, 1)
    assert finished.error == "the server failed while computing this answer"
    assert len(good.asked) + len(bad.asked) == 1


def test_retries_are_bounded(serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = drop
    engine = run(fake)
    assert ask(engine)[1].reason is FinishReason.ERROR
    assert len(fake.asked) == 3
    fake.reply = words
    eventually(lambda: engine.stats().slots_total)
    assert ask(engine)[1].reason is FinishReason.STOP


def test_retries_keep_the_deadline(serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = status(429, Retry_After="30")
    asked = request(deadline=time.monotonic() + 0.5)
    run(fake).submit(asked)
    assert text_of(asked)[1].reason is FinishReason.DEADLINE
    assert len(fake.asked) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_server_is_left_alone_as_long_as_it_asks(code: int, serve: Serve, run: Run) -> None:
    busy, other = serve("llamacpp", slots=64), serve("llamacpp", slots=1)
    busy.reply = status(code, Retry_After="60")
    engine = run(busy, other)
    assert [ask(engine)[0] for _ in range(4)] == ["oui " * 5] * 4
    assert len(busy.asked) == 1
    assert engine.stats().slots_total == 65, "busy is not broken"


def test_a_server_that_fails_its_checks_gets_nothing_until_it_passes_one(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp")
    engine = run(fake)
    fake.health = 503  # llama-server's answer while it loads its model
    eventually(lambda: engine.stats().slots_total == 0)
    with pytest.raises(EngineBusy) as busy:
        engine.submit(request())
    assert busy.value.retry_after > 0
    fake.health = 200
    eventually(lambda: engine.stats().slots_total)
    assert ask(engine)[0] == "oui " * 5


def test_a_server_that_was_restarted_serves_again(serve: Serve, run: Run) -> None:
    fake = serve()
    engine = run(fake)
    assert ask(engine)[1].reason is FinishReason.STOP
    fake.close()
    eventually(lambda: engine.stats().slots_total == 0)
    fake.reopen()
    eventually(lambda: engine.stats().slots_total)
    assert ask(engine)[1].reason is FinishReason.STOP


def test_after_failed_answers_a_server_gets_one_request_at_a_time_until_one_is_answered(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp", slots=4)
    fake.reply = drop
    engine = run(fake)
    ask(engine)
    fake.reply = silent
    eventually(lambda: engine.stats().slots_total)
    fake.most_in_flight = 0
    asked = [request() for _ in range(4)]
    for one in asked:
        engine.submit(one)
    eventually(lambda: engine.stats().slots_busy == 1)
    checked = len(fake.health_checks)
    eventually(lambda: len(fake.health_checks) > checked + 2)
    assert fake.most_in_flight == 1
    fake.reply = words
    asked[0].cancel()
    assert [text_of(one)[1].reason for one in asked[1:]] == [FinishReason.STOP] * 3


def test_those_who_wait_are_told_when_no_server_comes_back(
    serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "AWAY_SECONDS", 0.5)
    fake = serve("llamacpp", slots=1)
    fake.reply = silent
    engine = run(fake)
    running, waiting = request(), request()
    engine.submit(running)
    engine.submit(waiting)
    eventually(lambda: engine.stats().slots_busy == 1)
    fake.health = 500
    assert text_of(waiting)[1].error == "no server of this model answers"
    assert engine.stats().slots_busy == 1, "an answer that runs is left alone"


def test_a_refused_key_is_told_and_never_shown(serve: Serve, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    fake = serve()
    fake.key = KEY
    engine = run(fake, api_key=KEY)
    assert ask(engine)[1].reason is FinishReason.STOP
    fake.key = "another"
    eventually(lambda: engine.stats().slots_total == 0)
    assert "refuses our API key" in caplog.text
    assert KEY not in caplog.text
    fake.key = KEY
    eventually(lambda: engine.stats().slots_total)


def test_a_server_that_comes_back_with_less_stays_out(serve: Serve, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    fake = serve(context=1000)
    engine = run(fake)
    fake.context = 500
    eventually(lambda: engine.stats().slots_total == 0)
    assert "its context has room for" in caplog.text
    fake.context, fake.models = 1000, ["another"]
    eventually(lambda: "serve" in caplog.text or engine.stats().slots_total)
    fake.models = ["tiny"]
    eventually(lambda: engine.stats().slots_total)
