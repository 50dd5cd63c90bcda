"""The client against the real application of the AI core, and against servers that fail on the way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from common.ai_client import AWAY_SECONDS, AiAway, AiClient, AiRefused
from tests.fakes import Core, build_core
from tests.waiting import until

ANSWER = "Selon l'article L9999-1, une lampe ; voir aussi L8888-8."
QUESTION = "Que dit l'article L9999-1 ?"


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    built = build_core(tmp_path, ANSWER)
    built.install_code({"L9999-1": "Le salarié qui travaille de nuit reçoit une lampe."})
    yield built
    built.parts.model.stop()


@contextmanager
def served(core: Core) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, core.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def url(core: Core) -> Iterator[str]:
    with served(core) as address:
        yield address


@contextmanager
def raw_server(*replies: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answers each connection with the next of `replies`, then closes it; (url, what it was sent)."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                with connection:
                    heard.append(connection.recv(65_536))
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        thread.join(10)


def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def client(url: str, key: str = "k", **more: Any) -> AiClient:
    return AiClient(url, key, sleep=lambda _: None, **more)


def events(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + body


def test_an_answer_comes_whole(core: Core, url: str) -> None:
    answer = client(url, core.key("chat")).chat({"message": QUESTION, "channel": "telegram", "user_id": "p1"}, "r1")
    assert answer["response"] == ANSWER
    assert [source["number"] for source in answer["sources"]] == ["L9999-1"]
    assert client(url, core.key("chat")).generate({"prompt": QUESTION}, "r2")["response"] == ANSWER


def test_an_answer_comes_as_it_is_written(core: Core, url: str) -> None:
    with client(url, core.key("chat")).stream({"message": QUESTION}, "r1") as stream:
        told = [event for event in stream if event.kind != "heartbeat"]
    assert (told[0].kind, told[-1].kind) == ("sources", "done")
    assert "".join(event.data["text"] for event in told if event.kind == "token") == ANSWER
    assert {"number": "L9999-1", "status": "verified"} in [dict(e.data) for e in told if e.kind == "citation"]
    assert told[-1].data["response"] == ANSWER


def test_who_closes_the_stream_ends_the_generation(tmp_path: Path) -> None:
    core = build_core(tmp_path, "a" * 2_000, step_seconds=0.02)
    with served(core) as url:
        stream = client(url, core.key("chat")).stream({"message": "Bonjour", "max_tokens": 2_000}, "r1")
        for event in stream:
            if event.kind == "token":
                stream.close()
                break
        until(lambda: core.parts.model.current().engine.stats().slots_busy == 0)
        assert len(core.backend.batches) < 1_000
        with pytest.raises(AiAway):
            next(stream)
    core.parts.model.stop()


def test_what_is_about_the_request_is_refused(core: Core, url: str) -> None:
    with pytest.raises(AiRefused) as refused:
        client(url, core.key("chat")).chat({"message": "Bonjour", "temperature": 9}, "r1")
    assert (refused.value.status, refused.value.code) == (422, "invalid_fields")
    with pytest.raises(AiRefused) as refused:
        client(url, core.key("chat")).stream({"message": "Bonjour", "model": "inconnu"}, "r1")
    assert refused.value.code == "unknown_model"


@pytest.mark.parametrize(("key", "reason"), [("cdt-none", "ai_401"), (None, "ai_403")])
def test_a_key_that_does_not_fit_is_no_fault_of_the_request(core: Core, url: str, key: str | None, reason: str) -> None:
    with pytest.raises(AiAway) as away:
        client(url, key or core.key("models")).chat({"message": "Bonjour"}, "r1")
    assert away.value.reason == reason


def test_while_no_model_serves_it_says_how_long_to_wait(core: Core, url: str) -> None:
    asking = client(url, core.key("chat"))
    assert asking.health() is None
    core.parts.model.stop()
    with pytest.raises(AiAway) as away:
        asking.chat({"message": "Bonjour"}, "r1")
    assert away.value.reason == "ai_503"
    assert away.value.retry_after is not None
    assert asking.health() == "status 503"


def test_recordings_are_refused_where_nothing_can_listen(core: Core, url: str) -> None:
    with pytest.raises(AiRefused) as refused:
        client(url, core.key("chat")).transcribe(b"OggS", "voice.ogg", "r1")
    assert refused.value.code == "no_speech_model"


def test_models_are_listed(core: Core, url: str) -> None:
    assert [model["id"] for model in client(url, core.key("chat")).models()] == ["scripted"]


def test_a_person_is_shown_and_forgotten(core: Core, url: str) -> None:
    asking = client(url, core.key("chat", "admin"))
    asking.chat({"message": "Bonjour", "channel": "telegram", "user_id": "a/b?c"}, "r1")
    assert len(asking.export("telegram", "a/b?c")["requests"]) == 1
    assert asking.erase("telegram", "a/b?c")["requests"] == 1
    assert asking.erase("telegram", "a/b?c")["requests"] == 0


def test_where_nobody_listens_one_call_a_moment_finds_out() -> None:
    now = [0.0]
    asking = client(nobody(), clock=lambda: now[0])
    assert reason_to_wait(lambda: asking.chat({"message": "x"}, "r1")) is None
    assert reason_to_wait(lambda: asking.chat({"message": "x"}, "r1")) == AWAY_SECONDS
    now[0] = AWAY_SECONDS + 1
    assert reason_to_wait(lambda: asking.chat({"message": "x"}, "r1")) is None
    assert asking.health() == "ConnectionError"


def reason_to_wait(call: Callable[[], object]) -> float | None:
    with pytest.raises(AiAway) as away:
        call()
    return away.value.retry_after


def test_a_connection_that_was_cut_is_tried_once_more() -> None:
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{"response": "a"}'
    with raw_server(b"", whole) as (url, heard):
        assert client(url).chat({"message": "x"}, "r1")["response"] == "a"
    assert len(heard) == 2


@pytest.mark.parametrize("status", [b"301 Moved", b"404 Not Found", b"502 Bad Gateway"])
def test_what_a_proxy_says_is_not_about_the_request(status: bytes) -> None:
    reply = b"HTTP/1.1 %s\r\nLocation: /\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>" % status
    with raw_server(reply) as (url, _), pytest.raises(AiAway) as away:
        client(url).chat({"message": "x"}, "r1")
    assert away.value.reason == f"ai_{status[:3].decode()}"


def test_an_answer_that_does_not_come_is_not_asked_for_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asking = client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.05)
        with pytest.raises(AiAway):
            asking.chat({"message": "x"}, "r1")
        listener.accept()[0].close()
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "ai_cut"),
        (b'event: token\ndata: {"text": "a"}\n\n', "ai_cut"),
        (b'event: done\ndata: {"resp', "ai_cut"),
        (b"event: done\ndata: [1]\n\n", "ai_unreadable"),
        (b"event: done\ndata: {\n\n", "ai_unreadable"),
        (b'event: error\ndata: {"status": 503, "code": "at_capacity"}\n\n', "ai_503"),
    ],
)
def test_a_stream_that_fails_says_so(body: bytes, reason: str) -> None:
    with raw_server(events(body)) as (url, _), pytest.raises(AiAway) as away:
        list(client(url).stream({"message": "x"}, "r1"))
    assert away.value.reason == reason


def test_an_error_in_a_stream_that_is_about_the_request_is_a_refusal() -> None:
    body = b'event: error\ndata: {"status": 422, "code": "prompt_too_long", "message": "m"}\n\n'
    with raw_server(events(body)) as (url, _), pytest.raises(AiRefused) as refused:
        list(client(url).stream({"message": "x"}, "r1"))
    assert refused.value.code == "prompt_too_long"


def test_an_event_that_comes_in_pieces_is_put_together() -> None:
    body = ': \n\nevent: done\r\ndata: {"response": "été"}\r\n\r\n'.encode()
    with raw_server(events(body)) as (url, _):
        told = list(client(url).stream({"message": "x"}, "r1"))
    assert [(event.kind, dict(event.data)) for event in told] == [("heartbeat", {}), ("done", {"response": "été"})]


def test_no_failure_tells_the_address_or_the_key() -> None:
    asking = client("http://127.0.0.1:1/", "cdt-secret")
    with pytest.raises(AiAway) as away:
        asking.chat({"message": "Une question bien longue"}, "r1")
    assert away.value.__suppress_context__ or away.value.__context__ is None
    assert "127.0.0.1" not in f"{away.value!r}{away.value}"
