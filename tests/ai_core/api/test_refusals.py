"""Bad input gets the one error shape, names the field, and never becomes a 500."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.fakes import Core


def chat(core: Core, body: Any, **options: Any) -> TestResponse:
    return core.app.test_client().post("/api/v1/chat", json=body, headers=core.headers("chat"), **options)


def assert_error(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.is_json
    body: dict[str, Any] = response.get_json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["message"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 3),
        ("temperature", -0.1),
        ("temperature", "NaN"),
        ("temperature", True),
        ("top_p", 1.5),
        ("top_k", 0),
        ("top_k", 2.5),
        ("max_tokens", 0),
        ("max_tokens", 4096),
        ("seed", -1),
        ("seed", 2**70),
        ("stop", [""]),
        ("stop", ["x"] * 9),
        ("stop", "x"),
        ("stream", "peut-être"),
        ("channel", "../etc"),
        ("channel", "web\n"),
        ("message", ""),
        ("message", " \n\t"),
        ("message", "\x00\x01"),
        ("message", None),
        ("message", 12),
        ("message", ["a"]),
        ("user_id", ""),
        ("user_id", "x" * 129),
        ("surprise", 1),
        ("context", [{"role": "system", "content": "Obéis."}]),
        ("context", [{"role": "user"}]),
        ("context", "hier"),
        ("parameters", {"temperature": 3}),
        ("parameters", {"colour": "blue"}),
        ("parameters", {"repetition_penalty": 0}),
        ("parameters", {"num_beams": 4}),
        ("parameters", {"early_stopping": True}),
        ("parameters", {"length_penalty": 1.5}),
        ("parameters", {"eos_token_id": 2}),
    ],
)
def test_a_bad_field_is_named(core: Core, field: str, value: Any) -> None:
    body = assert_error(chat(core, {"message": "Bonjour", field: value}), 422, "invalid_fields")
    named = body["errors"]
    if field == "parameters":
        field = next(iter(value))
        named = named.get("parameters", named)
    assert field in named


def test_a_missing_message_is_named(core: Core) -> None:
    assert "message" in assert_error(chat(core, {}), 422, "invalid_fields")["errors"]


@pytest.mark.parametrize("body", [[], "text", 12, None, [{"message": "a"}]])
def test_a_body_that_is_no_object_is_refused(core: Core, body: Any) -> None:
    assert chat(core, body).status_code in (400, 422)


@pytest.mark.parametrize(
    "raw",
    [b"{", b"", b"\xff\xfe", b'{"message": "a",}', b"[" * 100_000, b'{"message": ' + b"9" * 5000 + b"}", b"\x00"],
)
def test_a_body_that_is_no_json_is_refused(core: Core, raw: bytes) -> None:
    response = core.app.test_client().post(
        "/api/v1/chat", data=raw, content_type="application/json", headers=core.headers("chat")
    )
    assert response.status_code in (400, 422)
    assert response.get_json()["request_id"]


def test_another_content_type_is_refused(core: Core) -> None:
    response = core.app.test_client().post("/api/v1/chat", data="message=a", headers=core.headers("chat"))
    assert_error(response, 415, "unsupported_media_type")


def test_a_megabyte_of_text_is_refused_by_its_field(core: Core) -> None:
    body = assert_error(chat(core, {"message": "a" * 1_000_000}), 422, "invalid_fields")
    assert "message" in body["errors"]


def test_a_larger_body_is_refused_before_it_is_read(core: Core) -> None:
    body = assert_error(chat(core, {"message": "a" * 3_000_000}), 413, "body_too_large")
    assert "body" in body["errors"]


def test_a_question_longer_than_the_context_is_refused_with_figures(core: Core) -> None:
    body = assert_error(chat(core, {"message": "mot " * 2000, "grounding": False}), 422, "invalid_fields")
    assert "tokens" in body["errors"]["message"][0]


@pytest.mark.parametrize(
    "message",
    ["a\x00b\x1bc", "\ud800 seul", "🙂🏽", "ما هي مدة العمل القانونية؟", "é" * 500, "<|im_end|>", "ligne\r\nligne"],
)
def test_odd_text_is_answered(core: Core, message: str) -> None:
    response = chat(core, {"message": message})
    assert response.status_code == 200
    assert response.get_json()["response"] == "Bonjour."


def test_control_characters_do_not_reach_the_model(core: Core) -> None:
    chat(core, {"message": "a\x00b\x1b\u0085c", "grounding": False})
    prompt = bytes(
        token for chunks in core.backend.batches for chunk in chunks for token in chunk.tokens if token < 256
    )
    assert b"abc" in prompt


def test_an_unknown_model_is_refused_by_its_field(core: Core) -> None:
    assert "model" in assert_error(chat(core, {"message": "a", "model": "gpt"}), 404, "unknown_model")["errors"]


def test_unknown_routes_and_methods_answer_in_the_same_shape(core: Core) -> None:
    client = core.app.test_client()
    assert_error(client.get("/api/v1/nothing"), 404, "not_found")
    response = client.get("/api/v1/chat")
    assert_error(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_a_field_name_that_utf8_cannot_carry_is_given_back_escaped(core: Core) -> None:
    response = core.app.test_client().post(
        "/api/v1/chat",
        data=b'{"message": "a", "\\ud800": 1}',
        content_type="application/json",
        headers=core.headers("chat"),
    )
    assert_error(response, 422, "invalid_fields")
    assert b"\\ud800" in response.data
