"""A strict server of the OpenAI API on loopback: it refuses what vLLM, llama-server or OpenAI would refuse or ignore.

What it answers to a chat completion is a `Reply`: a function that gets the open exchange and writes what it likes.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "secret-key-of-the-operator"
FIELDS = {
    "openai": {
        *("model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_p", "stop", "seed"),
        *("frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "response_format"),
    }
}
FIELDS["vllm"] = FIELDS["openai"] | {"top_k", "min_p", "repetition_penalty", "structured_outputs"}
FIELDS["llamacpp"] = FIELDS["openai"] | {"top_k", "min_p", "repeat_penalty", "repeat_last_n", "grammar"}


class FakeServer:
    """One model named "tiny", a token a character. Attributes may be changed while it runs."""

    def __init__(self, kind: str = "vllm", *, slots: int = 2, context: int = 1000, port: int = 0) -> None:
        self.kind = kind
        self.slots = slots
        self.context: int | None = context
        self.key: str | None = None
        self.models = ["tiny"]
        self.version = "0.12.1"
        self.system_role = True
        self.tokenizes = True
        self.health = 200
        self.reply: Reply = words
        self.asked: list[dict[str, Any]] = []
        self.tokenized: list[str] = []
        self.health_checks: list[int] = []
        self.routes: dict[str, bytes] = {}
        """What a route answers instead of what it should."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.gone = threading.Event()
        """A client closed its connection before its answer had ended."""
        self.lock = threading.Lock()
        self.connections: list[socket.socket] = []
        self.open(port)

    def open(self, port: int) -> None:
        self._http = Listener(("127.0.0.1", port), type("Bound", (Exchange,), {"fake": self}))
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def drop_connections(self) -> None:
        """Close those that clients keep open."""
        for connection in list(self.connections):
            connection.shutdown(socket.SHUT_RDWR)

    def reopen(self) -> None:
        self.open(self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def card(self, name: str) -> dict[str, Any]:
        card: dict[str, Any] = {"id": name, "object": "model", "owned_by": self.kind}
        if self.kind == "llamacpp":
            return card | {"meta": {"n_ctx_train": 99999, "size": 4096, "ftype": "Q4_K_M"}}
        return card | {"max_model_len": self.context}


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Clients leave in the middle here; other errors of a reply show as a broken answer."""


class Exchange(BaseHTTPRequestHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: FakeServer

    def setup(self) -> None:
        super().setup()
        self.fake.connections.append(self.connection)

    def finish(self) -> None:
        self.fake.connections.remove(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        fake = self.fake
        routes: dict[str, Callable[[], Any]] = {
            "/v1/models": lambda: {"data": [fake.card(name) for name in fake.models]}
        }
        if fake.kind == "llamacpp":
            routes["/props"] = lambda: {
                "default_generation_settings": {"n_ctx": fake.context},
                "total_slots": fake.slots,
            }
        if fake.kind == "vllm":
            routes["/version"] = lambda: {"version": fake.version}
        if self.path in fake.routes:
            self.raw(200, "application/json", fake.routes[self.path])
        elif self.path == "/health" and fake.kind != "openai":
            fake.health_checks.append(fake.health)
            self.json(fake.health, {})
        elif self.path not in routes:
            self.error(404, "not found", "not_found_error")
        elif self.authorized():
            self.json(200, routes[self.path]())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.authorized():
            return
        if self.path == "/v1/chat/completions":
            self.chat(body)
        elif self.path == "/tokenize" and self.fake.tokenizes and self.fake.kind != "openai":
            self.tokenize(body)
        elif self.path == "/apply-template" and self.fake.kind == "llamacpp" and self.fake.tokenizes:
            self.json(200, {"prompt": "".join(f"<{m['role']}>{m['content']}" for m in body["messages"])})
        else:
            self.error(404, "not found", "not_found_error")

    def authorized(self) -> bool:
        if self.fake.key in (None, (self.headers["Authorization"] or "").removeprefix("Bearer ")):
            return True
        self.error(401, f"Invalid API key {self.headers['Authorization']}", "authentication_error")
        return False

    def tokenize(self, body: Mapping[str, Any]) -> None:
        if "messages" in body:
            if not self.fake.system_role and body["messages"][0]["role"] == "system":
                self.error(400, "System role not supported", "BadRequestError")
                return
            text = "".join(f"<{m['role']}>{m['content']}" for m in body["messages"])
        else:
            text = body["content" if self.fake.kind == "llamacpp" else "prompt"]
        self.fake.tokenized.append(text)
        self.json(200, {"tokens": list(range(len(text)))})

    def chat(self, body: dict[str, Any]) -> None:
        fake = self.fake
        with fake.lock:
            fake.asked.append(body)
            fake.in_flight += 1
            fake.most_in_flight = max(fake.most_in_flight, fake.in_flight)
        self.is_in_flight = True
        try:
            refused = refusal(fake, body)
            if refused is not None:
                self.error(400, refused, "BadRequestError")
            else:
                fake.reply(self, body)
        except OSError:
            fake.gone.set()
        finally:
            self.leave()

    def leave(self) -> None:
        """A slot is free again, before the client hears of it."""
        with self.fake.lock:
            self.fake.in_flight -= self.is_in_flight
            self.is_in_flight = False

    # -- for replies --------------------------------------------------------------------------------------------------

    def json(self, status: int, content: Any, **headers: str) -> None:
        self.raw(status, "application/json", json.dumps(content).encode(), **headers)

    def error(self, status: int, message: str, kind: str, **headers: str) -> None:
        self.json(status, {"error": {"message": message, "type": kind, "code": status}}, **headers)

    def raw(self, status: int, content_type: str, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def start(self, content_type: str = "text/event-stream; charset=utf-8") -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, content: bytes) -> None:
        if content:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
            self.wfile.flush()

    def event(self, chunk: Any) -> None:
        self.send(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def text(self, content: str | None, **more: Any) -> None:
        self.event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None, **more}]})

    def end(self, reason: str = "stop", *, usage: Mapping[str, Any] | None = None) -> None:
        self.leave()
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage is not None:
            self.event({"choices": [], "usage": usage})
        self.send(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        """Break off without the end of the stream."""
        self.close_connection = True

    def wait_for_client_to_leave(self, seconds: float = 10.0) -> None:
        """Say nothing until the client closes its side."""
        if select.select([self.connection], [], [], seconds)[0] and not self.connection.recv(1):
            self.fake.gone.set()
        self.close_connection = True


Reply = Callable[[Exchange, Mapping[str, Any]], None]


def words(exchange: Exchange, body: Mapping[str, Any]) -> None:
    """ "oui " for each token that is asked for, up to five."""
    count = min(5, body["max_tokens"])
    exchange.start()
    exchange.text(None)
    for _ in range(count):
        exchange.text("oui ")
    reason = "length" if count == body["max_tokens"] else "stop"
    details = {"cached_tokens": 3}
    exchange.end(reason, usage={"prompt_tokens": 11, "completion_tokens": count, "prompt_tokens_details": details})


def refusal(fake: FakeServer, body: Mapping[str, Any]) -> str | None:
    """What a strict server of this kind has against `body`."""
    unknown = body.keys() - FIELDS[fake.kind]
    if unknown:
        return f"unknown fields {sorted(unknown)}"
    if body["model"] not in fake.models or body["stream"] is not True:
        return "wrong model, or not a stream"
    roles = [message["role"] for message in body["messages"]]
    if not fake.system_role and "system" in roles:
        return "System role not supported"
    if "top_logprobs" in body and body.get("logprobs") is not True:
        return "top_logprobs requires logprobs to be set to true"
    if fake.kind == "vllm" and (body["top_k"] == 0 or not 0 < body["top_p"] <= 1):
        return "top_k must be -1 or at least 1, top_p in (0, 1]"
    if fake.kind == "vllm" and sum(len(m["content"]) for m in body["messages"]) + body["max_tokens"] > (
        fake.context or 0
    ):
        return (
            f"This model's maximum context length is {fake.context} tokens. Please reduce the length of the messages."
        )
    return None
