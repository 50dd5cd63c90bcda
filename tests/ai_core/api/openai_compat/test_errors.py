"""Every refusal is the exception class of OpenAI's client that its users expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import peewee
import pytest

from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.fakes import SCRIPTED, Core, build_core

HELLO = [{"role": "user", "content": "Bonjour"}]


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "scripted", "messages": HELLO, **options})


def test_no_key(core: Core, address: str) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(client_of(core, address, api_key="sk-of-another-service"))
    assert caught.value.code == "invalid_api_key"
    assert caught.value.type == "authentication_error"
    assert caught.value.request_id


def test_a_key_without_the_scope(core: Core, address: str) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        ask(client_of(core, address, api_key=core.key("models")))
    assert caught.value.code == "forbidden"


def test_a_model_that_is_not_there(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="scripted only") as caught:
        ask(client, model="gpt-4o")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_route_that_is_not_there(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(prompt="une lampe", model="scripted")
    assert caught.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError) as caught_method:
        client.delete("/models/scripted", cast_to=object)
    assert caught_method.value.status_code == 405
    assert caught_method.value.code == "method_not_allowed"


def test_no_model_is_loaded(empty: tuple[Core, openai.OpenAI]) -> None:
    with pytest.raises(openai.ConflictError) as caught:
        ask(empty[1])
    assert caught.value.code == "model_not_loaded"


def test_too_many_requests(tmp_path: Path) -> None:
    core = build_core(tmp_path, RATE_LIMIT_PER_MINUTE="2")
    with served(core) as address:
        client = client_of(core, address)
        ask(client)
        ask(client)
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client)
    core.parts.model.stop()
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 60


def test_at_capacity(tmp_path: Path) -> None:
    core = build_core(tmp_path, "x" * 400, step_seconds=0.02, slots=1, MAX_WAITING_REQUESTS="0")
    with served(core) as address:
        client = client_of(core, address)
        stream = ask(client, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break  # it has its slot
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client)
        stream.close()
    core.parts.model.stop()
    assert (caught.value.status_code, caught.value.code) == (503, "at_capacity")
    assert int(caught.value.response.headers["Retry-After"]) >= 1


def test_the_client_tries_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_core.model_host.RETRY_WHILE_LOADING", 1.0)
    core = build_core(tmp_path, started=False)
    core.loader.allowed.clear()
    core.parts.model.begin(SCRIPTED)
    seen: list[int] = []

    def note(response: Any) -> None:
        seen.append(response.status_code)
        core.loader.allowed.set()
        core.parts.model.wait(10)

    http = openai.DefaultHttpxClient(event_hooks={"response": [note]})
    with served(core) as address:
        completion = ask(client_of(core, address, max_retries=2, http_client=http))
    core.parts.model.stop()
    assert seen == [503, 200]
    assert completion.choices[0].message.content == "Bonjour."


def test_a_conversation_that_is_too_long_for_the_model(tmp_path: Path) -> None:
    core = build_core(tmp_path, context_length=512)
    with served(core) as address, pytest.raises(openai.BadRequestError, match="at most") as caught:
        ask(client_of(core, address), messages=[{"role": "user", "content": "a" * 600}])
    core.parts.model.stop()
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_request"),
        (b"[1]", "application/json", 400, "invalid_fields"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b'{"model": "' + b"a" * 3_000_000 + b'"}', "application/json", 413, "body_too_large"),
    ],
)
def test_bodies_that_cannot_be_read(core: Core, content: bytes, media_type: str, status: int, code: str) -> None:
    response = core.app.test_client().post(
        "/v1/chat/completions", data=content, content_type=media_type, headers=core.headers("chat")
    )
    error = response.get_json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}


def test_a_bug_of_ours_is_a_server_error_without_a_trace(
    core: Core, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("le texte d'une personne")

    monkeypatch.setattr(core.parts.assistant.__class__, "ask", fail)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.code == "internal_error"
    assert "personne" not in caught.value.response.text


def test_the_database_is_away(core: Core, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise peewee.OperationalError("away")

    monkeypatch.setattr("ai_core.api.access.verify_key", fail)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert (caught.value.status_code, caught.value.code) == (503, "database_unavailable")


def test_elsewhere_errors_keep_our_own_shape(core: Core) -> None:
    for path in ("/api/v1/chat", "/v1x", "/"):
        body = core.app.test_client().post(path).get_json()
        assert {"code", "status", "message", "request_id"} <= set(body), path


def test_our_request_id_comes_back(core: Core, address: str) -> None:
    client = client_of(core, address, default_headers={"X-Request-ID": "from-the-client"})
    assert ask(client)._request_id == "from-the-client"
