"""One server: what it is sent, what comes back, and how an answer ends before its time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ai_core.engine.backends.remote import RemoteEngine
from ai_core.engine.engine import EngineBusy, EngineStopped, InvalidRequest, PromptTooLong
from ai_core.engine.request import Finished, FinishReason, TextChunk
from tests.ai_core.engine.backends.remote.asking import ask, eventually, logprobs_of, request, text_of
from tests.ai_core.engine.backends.remote.fake_server import Exchange, FakeServer, words

Serve = Callable[..., FakeServer]
Run = Callable[..., RemoteEngine]
EVERYTHING = {
    "temperature": 0.5,
    "top_p": 0.0,
    "top_k": 0,
    "repetition_penalty": 1.1,
    "frequency_penalty": 0.2,
    "presence_penalty": -0.3,
    "seed": 2**40,
    "stop": ("\n",),
    "logprobs": 0,
}


def silent(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.start()
    exchange.text("Un")
    exchange.wait_for_client_to_leave()


def mute(exchange: Exchange, body: Mapping[str, Any]) -> None:
    """Not even a status line: what a server does while it reads a long prompt."""
    exchange.wait_for_client_to_leave()


@pytest.mark.parametrize("kind", ["vllm", "llamacpp", "openai"])
def test_an_answer_streams_and_ends_with_the_servers_own_figures(kind: str, serve: Serve, run: Run) -> None:
    text, finished = ask(run(serve(kind)), max_tokens=10)
    assert text == "oui " * 5
    assert finished == Finished(FinishReason.STOP, 11, 5, 3)


def test_the_limit_of_tokens_is_a_reason_of_its_own(serve: Serve, run: Run) -> None:
    assert ask(run(serve()), max_tokens=2) == ("oui oui ", Finished(FinishReason.LENGTH, 11, 2, 3))


def test_vllm_is_told_everything_in_its_own_words(serve: Serve, run: Run) -> None:
    fake = serve("vllm")
    assert ask(run(fake), **EVERYTHING)[1].reason is FinishReason.STOP
    (sent,) = fake.asked
    assert (sent["top_k"], sent["repetition_penalty"], sent["min_p"]) == (-1, 1.1, 0.0)
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 1)
    assert 0 <= sent["seed"] < 2**32
    assert sent["messages"] == [{"role": "system", "content": "Sois bref."}, {"role": "user", "content": "Bonjour"}]


def test_llama_server_is_told_everything_in_its_own_words(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp")
    assert ask(run(fake), **EVERYTHING)[1].reason is FinishReason.STOP
    (sent,) = fake.asked
    assert (sent["top_k"], sent["repeat_penalty"], sent["repeat_last_n"], sent["min_p"]) == (0, 1.1, 64, 0.0)


@pytest.mark.parametrize(
    ("kind", "version", "parameter"),
    [
        ("openai", "", {"top_k": 3}),
        ("openai", "", {"repetition_penalty": 1.1}),
        ("vllm", "0.11.2", {"grammar": 'root ::= "a"'}),
        ("llamacpp", "", {"num_beams": 2}),
        ("vllm", "0.12.0", {"choices": ((1, 2),)}),
    ],
)
def test_what_the_servers_do_not_honour_is_refused(
    kind: str, version: str, parameter: dict[str, Any], serve: Serve, run: Run
) -> None:
    fake = serve(kind)
    fake.version = version
    with pytest.raises(InvalidRequest, match=next(iter(parameter))):
        run(fake).submit(request(**parameter))
    assert fake.asked == []


@pytest.mark.parametrize(
    ("kind", "sent"),
    [("llamacpp", {"grammar": 'root ::= "a"'}), ("vllm", {"structured_outputs": {"grammar": 'root ::= "a"'}})],
)
def test_a_grammar_is_sent_as_the_server_knows_it(kind: str, sent: dict[str, Any], serve: Serve, run: Run) -> None:
    fake = serve(kind)
    ask(run(fake), grammar='root ::= "a"')
    assert fake.asked[0].items() >= sent.items()


def test_a_json_schema_is_a_response_format(serve: Serve, run: Run) -> None:
    fake = serve("openai")
    ask(run(fake), json_schema='{"type": "boolean"}')
    assert fake.asked[0]["response_format"]["json_schema"]["schema"] == {"type": "boolean"}


def test_a_model_without_system_role_gets_it_in_the_first_user_turn(serve: Serve, run: Run) -> None:
    fake = serve()
    fake.system_role = False
    assert ask(run(fake))[1].reason is FinishReason.STOP
    assert fake.asked[0]["messages"] == [{"role": "user", "content": "Sois bref.\n\nBonjour"}]


def test_an_answer_gets_no_more_tokens_than_the_prompt_leaves(serve: Serve, run: Run) -> None:
    fake = serve(context=200)
    engine = run(fake)
    ask(engine, tokens=100, max_tokens=1000)
    assert 1 < fake.asked[0]["max_tokens"] <= 100


def test_log_probabilities_come_with_exact_bytes(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        top = [{"token": "�", "bytes": [0xC3], "logprob": -0.5}, {"token": "a", "bytes": None, "logprob": -9999.0}]
        half = {"token": "�", "bytes": [0xC3], "logprob": -0.5, "top_logprobs": top}
        exchange.text("", logprobs={"content": [half]})
        exchange.text("é", logprobs={"content": [{"token": "�", "bytes": [0xA9], "logprob": -1, "top_logprobs": top}]})
        exchange.end()

    fake = serve()
    fake.reply = reply
    asked = request(logprobs=1)
    run(fake).submit(asked)
    first, second = logprobs_of(asked)
    assert (first.piece, first.logprob, first.top) == (b"\xc3", -0.5, ((b"\xc3", -0.5),))
    assert second.piece == b"\xa9"


def test_characters_that_the_server_cut_are_whole(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        exchange.text("\ud83d")
        exchange.text("\ude00 ")
        for byte in b'data: {"choices": [{"delta": {"content": "d\xc3\xa9"}}]}\r\n\r\n: ping\n\n':
            exchange.send(bytes([byte]))
        exchange.text("\ud83d")
        exchange.text("!")
        exchange.end()

    fake = serve()
    fake.reply = reply
    assert ask(run(fake))[0] == "😀 dé�!"


def test_without_usage_the_pieces_are_counted(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        exchange.text("a")
        exchange.text("b")
        exchange.end()

    fake = serve()
    fake.reply = reply
    assert ask(run(fake), tokens=17)[1] == Finished(FinishReason.STOP, 17, 2, 0)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_prompt_beyond_the_context_is_refused_at_once(serve: Serve, run: Run) -> None:
    engine = run(serve(context=200))
    with pytest.raises(PromptTooLong) as refused:
        engine.submit(request(tokens=200))
    assert refused.value.limit < 200


def test_a_prompt_that_the_server_finds_too_long_ends_with_a_clear_error(serve: Serve, run: Run) -> None:
    fake = serve(context=200)
    asked = request(messages=(("user", "x" * 300),))
    engine = run(fake)
    engine.submit(asked)
    text, finished = text_of(asked)
    assert (text, finished.reason) == ("", FinishReason.ERROR)
    assert finished.error == "the prompt is too long for the server"
    assert len(fake.asked) == 1, "no other attempt can help"
    assert ask(engine)[1].reason is FinishReason.STOP


def test_llama_servers_figures_are_passed_on(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 600, "n_ctx": 512}
        exchange.json(400, {"error": error})

    fake = serve("llamacpp")
    fake.reply = reply
    assert ask(run(fake))[1].error == "the prompt is too long for the server: 600 tokens, 512 fit"


def test_what_the_server_says_of_a_bad_request_may_quote_it_and_goes_no_further(
    serve: Serve, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.error(400, f"cannot read {body['messages']}", "BadRequestError")

    fake = serve()
    fake.reply = reply
    finished = ask(run(fake), messages=(("user", "mon secret"),))[1]
    assert finished.error == "the server refused the request with status 400 (BadRequestError)"
    assert "secret" not in caplog.text


def test_a_request_needs_its_messages(serve: Serve, run: Run) -> None:
    with pytest.raises(InvalidRequest, match="messages"):
        run(serve()).submit(request(messages=()))


def test_the_queue_has_an_end(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp", slots=1)
    fake.reply = silent
    engine = run(fake, max_waiting=1)
    first, second = request(), request()
    engine.submit(first)
    engine.submit(second)
    with pytest.raises(EngineBusy) as busy:
        engine.submit(request())
    assert busy.value.retry_after >= 1
    eventually(lambda: engine.stats().slots_busy == 1)
    assert engine.stats().waiting == 1


def test_a_request_that_cannot_start_in_time_is_refused_at_once(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp", slots=1)
    fake.reply = silent
    engine = run(fake)
    engine.submit(request())
    with pytest.raises(EngineBusy):
        engine.submit(request(deadline=time.monotonic() + 1))


# -- ends before the end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [silent, mute])
def test_cancelling_closes_the_connection_though_no_token_arrives(reply: Any, serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = reply
    engine = run(fake)
    asked = request()
    engine.submit(asked)
    eventually(lambda: fake.in_flight)
    asked.cancel()
    assert text_of(asked)[1].reason is FinishReason.CANCELLED
    assert fake.gone.wait(10)
    fake.reply = words
    assert ask(engine)[1].reason is FinishReason.STOP, "a cancelled answer says nothing against its server"


def test_cancelling_ends_an_answer_at_the_next_token(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        while True:
            exchange.text("oui ")
            time.sleep(0.005)

    fake = serve()
    fake.reply = reply
    asked = request(max_tokens=10_000)
    run(fake).submit(asked)
    for event in asked.events():
        assert isinstance(event, TextChunk)
        break  # leaving the loop cancels
    assert fake.gone.wait(10)


def test_a_waiting_request_can_be_cancelled(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp", slots=1)
    fake.reply = silent
    engine = run(fake)
    engine.submit(request())
    waiting = request()
    engine.submit(waiting)
    waiting.cancel()
    assert text_of(waiting)[1].reason is FinishReason.CANCELLED
    assert len(fake.asked) <= 1


@pytest.mark.parametrize("reply", [silent, mute])
def test_the_deadline_ends_an_answer_with_what_it_has(reply: Any, serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = reply
    asked = request(deadline=time.monotonic() + 0.5)
    run(fake).submit(asked)
    text, finished = text_of(asked)
    assert text == ("Un" if reply is silent else "")
    assert finished.reason is FinishReason.DEADLINE
    assert finished.completion_tokens == len(text) // 2
    assert fake.gone.wait(10)


def test_stopping_ends_what_does_not_end_by_itself(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp", slots=1)
    fake.reply = silent
    engine = run(fake)
    running, waiting = request(), request()
    engine.submit(running)
    engine.submit(waiting)
    engine.stop(grace_seconds=0.3)
    assert {text_of(asked)[1].reason for asked in (running, waiting)} == {FinishReason.MODEL_UNLOADED}
    with pytest.raises(EngineStopped):
        engine.submit(request())
    assert fake.gone.wait(10)


def test_stopping_lets_answers_end_within_the_grace(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        exchange.text("Un")
        time.sleep(0.3)
        exchange.text(" deux")
        exchange.end()

    fake = serve()
    fake.reply = reply
    engine = run(fake)
    asked = request()
    engine.submit(asked)
    engine.stop(grace_seconds=30)
    assert text_of(asked)[0] == "Un deux"


def test_an_engine_that_never_started_ends_its_requests_too(serve: Serve, reach: Callable[..., Any]) -> None:
    engine = RemoteEngine(reach(serve()))
    asked = request()
    engine.submit(asked)
    engine.stop(reason=FinishReason.CANCELLED)
    assert text_of(asked)[1].reason is FinishReason.CANCELLED


# -- order and figures ------------------------------------------------------------------------------------------------


def test_slots_are_not_exceeded_and_everybody_is_answered(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        time.sleep(0.02)
        exchange.text(body["messages"][-1]["content"])
        exchange.end(usage={"prompt_tokens": 4, "completion_tokens": 1})

    fake = serve("llamacpp", slots=3)
    fake.reply = reply
    engine = run(fake)
    asked = [request(messages=(("user", f"n{number}"),)) for number in range(20)]
    for one in asked:
        engine.submit(one)
    assert [text_of(one)[0] for one in asked] == [f"n{number}" for number in range(20)]
    assert fake.most_in_flight == 3
    stats = engine.stats()
    assert (stats.prompt_tokens_total, stats.completion_tokens_total) == (80, 20)
    assert (stats.slots_busy, stats.waiting, stats.slots_total) == (0, 0, 3)
    assert not engine.is_stalled(60)


def test_owners_take_turns(serve: Serve, run: Run) -> None:
    fake = serve("llamacpp", slots=1)
    engine = run(fake)
    fake.reply = silent
    blocker = request(owner="a")
    engine.submit(blocker)
    eventually(lambda: engine.stats().slots_busy == 1)
    queue = [request(owner="a", messages=(("user", "a"),)), request(owner="b", messages=(("user", "b"),))]
    for one in queue:
        engine.submit(one)
    fake.slots = 2
    fake.reply = words
    eventually(lambda: len(fake.asked) >= 2)
    assert fake.asked[1]["messages"][0]["content"] == "b"
    blocker.cancel()
    assert [json.dumps(text_of(one)[1].reason) for one in queue] == ['"stop"', '"stop"']
