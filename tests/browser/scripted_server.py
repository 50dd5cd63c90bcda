"""A server for the pages' tests: the real pages, and a chat route that answers as each test scripts it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request
from marshmallow import ValidationError
from werkzeug.serving import WSGIRequestHandler, make_server

from ai_core.api.answer_schemas import ChatSchema
from ai_core.api.pages import blueprint
from common.errors import InvalidFields, ServiceError, error_response, register_error_handlers
from common.log import request_id

KEY = "cdt-test-0123456789abcdef"

SOURCES: list[dict[str, Any]] = [
    {
        "number": "L9001-1",
        "title": "Durée du préavis",
        "url": "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000000000001",
        "excerpt": "La durée du préavis est fixée à trente jours, sauf accord plus favorable au salarié.",
        "score": 0.91,
    },
    {
        "number": "R9002-3",
        "title": "Information de l'employeur",
        "url": "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000000000002",
        "excerpt": "Le salarié informe l'employeur par tout moyen qui donne une date certaine.",
        "score": 0.74,
    },
]
OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Code du Travail Neo", "version": "1"},
    "components": {"securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
    "paths": {
        "/api/v1/chat": {
            "post": {
                "summary": "Ask a question",
                "tags": ["answers"],
                "security": [{"ApiKey": []}],
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}, "example": {"a": 1}}}},
                "responses": {"200": {"description": "An answer"}},
            }
        },
        "/health": {"get": {"summary": "Alive", "tags": ["health"], "responses": {"200": {"description": "Alive"}}}},
    },
}


@dataclass
class Script:
    """What the next question gets: an error, or `tokens` at a pace of one every `pause` seconds."""

    tokens: list[str] = field(default_factory=lambda: ["Le préavis est de ", "30 jours (article L. 9001-1)."])
    sources: list[dict[str, Any]] = field(default_factory=lambda: SOURCES)
    answer: dict[str, Any] = field(default_factory=dict)  # overrides of the final object
    pause: float = 0.0
    bytes_at_once: int = 0  # cut the stream into pieces of this size, wherever that falls
    error: ServiceError | None = None  # instead of an answer
    error_after_tokens: ServiceError | None = None
    ends_early: bool = False  # the connection closes without `done`


class ScriptedServer:
    """Listens on a free loopback port. `scripts` are used up one a question; the last one stays."""

    def __init__(self) -> None:
        self.scripts = [Script()]
        self.questions: list[dict[str, Any]] = []
        self.client_left = threading.Event()
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True, request_handler=QuietHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def reset(self, *scripts: Script) -> None:
        """Forget the past; answer as `scripts` say."""
        self.scripts = list(scripts) or [Script()]
        self.questions.clear()
        self.client_left.clear()

    def _app(self) -> Flask:
        app = Flask("scripted", static_folder=None)
        app.register_blueprint(blueprint)
        register_error_handlers(app)
        app.before_request(lambda: request_id.set("req-test-1") and None)
        app.add_url_rule("/openapi.json", view_func=lambda: jsonify(OPENAPI), endpoint="openapi")
        app.add_url_rule("/api/v1/chat", view_func=self._chat, methods=["POST"])
        return app

    def _chat(self) -> Response:
        if request.headers.get("X-API-Key") != KEY:
            raise ServiceError(401, "unauthorised", "Unknown key.")
        try:
            body = ChatSchema().load(request.get_json())  # the real contract: an unknown field fails the test
        except ValidationError as error:
            raise InvalidFields(error.messages_dict) from None
        self.questions.append(body)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if script.error is not None:
            return error_response(script.error)
        return Response(self._watched(script), mimetype="text/event-stream")

    def _watched(self, script: Script) -> Iterator[bytes]:
        finished = False
        try:
            yield from _pieces(_stream(script), script.bytes_at_once)
            finished = True
        finally:
            if not finished:  # the server closes the generator when it cannot write any more
                self.client_left.set()


def _stream(script: Script) -> Iterator[bytes]:
    grounded = script.answer.get("grounded", True)
    yield b": \n\n"
    yield _event("sources", {"sources": script.sources, "grounded": grounded})
    for token in script.tokens:
        time.sleep(script.pause)
        yield _event("token", {"text": token})
    if script.error_after_tokens is not None:
        error = script.error_after_tokens
        body = {"code": error.code, "status": error.status, "message": error.message, "request_id": "req-test-2"}
        yield _event("error", body)
    elif not script.ends_early:
        yield _event("done", _answer(script, grounded))


def _answer(script: Script, grounded: bool) -> dict[str, Any]:
    return {
        "response": "".join(script.tokens),
        "model": "scripted",
        "tokens_used": 12,
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "processing_time": 0.1,
        "timestamp": "2030-01-01T00:00:00+00:00",
        "finish_reason": "stop",
        "parameters_used": {},
        "grounded": grounded,
        "sources": script.sources,
        "citations": [{"number": "L9001-1", "status": "verified"}],
        "notice": None,
        "cached": False,
        **script.answer,
    }


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _pieces(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        if not size:
            yield chunk
            continue
        for start in range(0, len(chunk), size):
            time.sleep(0.002)  # or the kernel would join the pieces again
            yield chunk[start : start + size]


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: pytest's output is for the tests."""
