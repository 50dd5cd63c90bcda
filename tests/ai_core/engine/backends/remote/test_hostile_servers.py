"""Servers that are not what they say: every answer ends, with a clear error, and the next one works."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.remote import RemoteEngine, RemoteServers
from ai_core.engine.backends.remote.event_stream import MOST_BYTES
from ai_core.engine.request import Finished, FinishReason
from tests.ai_core.engine.backends.remote.asking import ask, eventually
from tests.ai_core.engine.backends.remote.fake_server import Exchange, FakeServer, words

Serve = Callable[..., FakeServer]
Run = Callable[..., RemoteEngine]


def raw(content: bytes) -> Callable[[Exchange, Mapping[str, Any]], None]:
    """`content` as the whole event stream."""

    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        for start in range(0, len(content), 1000):
            exchange.send(content[start : start + 1000])
        exchange.hang_up()

    return reply


def choice(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **fields}]}).encode() + b"\n\n"


def html(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.raw(200, "text/html", b"<html>Welcome to nginx</html>")


def html_error(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.raw(502, "text/html", b"<html>Bad gateway</html>")


def not_streamed(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.json(200, {"choices": [{"message": {"content": "oui"}}]})


def garbage(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.wfile.write(b"\x00\xff\r\n\r\n")
    exchange.hang_up()


def endless_header(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000)
    exchange.hang_up()


def bad_chunks(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.start()
    exchange.wfile.write(b"zz\r\nnot a chunk\r\n")
    exchange.hang_up()


BROKEN = {
    "html": html,
    "html error": html_error,
    "not streamed": not_streamed,
    "garbage": garbage,
    "endless header": endless_header,
    "bad chunks": bad_chunks,
    "nothing": raw(b""),
    "half a line": raw(b"data: {"),
    "half an event": raw(b'data: {"choices": []}\n'),
    "not JSON": raw(b"data: {oui}\n\n"),
    "not an object": raw(b"data: [1]\n\n"),
    "no choices": raw(b"data: {}\n\n"),
    "deep": raw(b"data: " + b"[" * 100_000 + b"\n\n"),
    "endless line": raw(b"data: " + b"x" * (MOST_BYTES + 1)),
    "content that is a list": raw(choice(delta={"content": ["a"]})),
    "unknown reason": raw(choice(delta={}, finish_reason="content_filter")),
    "reason that is a list": raw(choice(delta={}, finish_reason=["stop"])),
    "done without a reason": raw(choice(delta={}) + b"data: [DONE]\n\n"),
    "error in the stream": raw(b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n'),
    "error that is a text": raw(b'data: {"error": "no"}\n\n'),
    "not UTF-8": raw(b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_an_error_and_the_next_one_works(name: str, serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = BROKEN[name]
    engine = run(fake)
    text, finished = ask(engine, max_tokens=5)
    assert (text, finished.reason) == ("", FinishReason.ERROR)
    assert finished.error == "the server failed while computing this answer"
    fake.reply = words
    eventually(lambda: engine.stats().slots_total)
    assert ask(engine)[1].reason is FinishReason.STOP


LOGPROBS: dict[str, Any] = {
    "no numbers": {"content": [{"token": "a", "logprob": None}]},
    "not a number": {"content": [{"token": "a", "logprob": float("nan")}]},
    "no token": {"content": [{"logprob": -1}]},
    "not a byte": {"content": [{"token": "a", "bytes": [999], "logprob": -1}]},
    "not a list": {"content": 3},
}


@pytest.mark.parametrize("name", LOGPROBS)
def test_log_probabilities_of_another_form_are_an_error(name: str, serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = raw(choice(delta={"content": "a"}, logprobs=LOGPROBS[name]) + choice(delta={}, finish_reason="stop"))
    assert ask(run(fake), logprobs=1)[1].reason is FinishReason.ERROR


def test_more_text_than_was_asked_for_is_cut_off(serve: Serve, run: Run) -> None:
    def reply(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.start()
        while True:
            exchange.text("x" * 1000)

    fake = serve()
    fake.reply = reply
    text, finished = ask(run(fake), max_tokens=1)
    assert finished.reason is FinishReason.ERROR
    assert len(text) < 10_000
    assert fake.gone.wait(10)


def test_an_answer_is_whole_once_its_end_was_told_whatever_comes_after(serve: Serve, run: Run) -> None:
    fake = serve()
    fake.reply = raw(choice(delta={"content": "oui"}, finish_reason="stop") + b'data: {"choices"')
    assert ask(run(fake)) == ("oui", Finished(FinishReason.STOP, 20, 1, 0))


def test_usage_that_cannot_be_is_not_believed(serve: Serve, run: Run) -> None:
    fake = serve()
    usage = {"prompt_tokens": -4, "completion_tokens": "many", "prompt_tokens_details": {"cached_tokens": 1e99}}
    told = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    fake.reply = raw(choice(delta={"content": "oui"}, finish_reason="stop") + told + b"data: [DONE]\n\n")
    finished = ask(run(fake))[1]
    assert (finished.prompt_tokens, finished.completion_tokens, finished.reused_tokens) == (0, 0, 0)


@pytest.mark.parametrize(
    "model_list",
    [b"<html>", b"[]", b'{"data": 3}', b'{"data": []}', b'{"data": [{"id": "\\n"}]}', b"[" * 100_000, b" " * 5_000_000],
)
def test_a_server_whose_models_cannot_be_read_is_not_used(model_list: bytes, serve: Serve) -> None:
    fake = serve()
    fake.routes["/v1/models"] = model_list
    with pytest.raises(BackendError, match="no remote server can be used"):
        RemoteServers([fake.url])
