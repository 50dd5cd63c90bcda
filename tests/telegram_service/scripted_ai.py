"""An AI core that answers by rote: each answer names its question, so that a test sees which one was answered."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("Selon", "le", "Code", "du", "travail", "voici", "la", "réponse", "à")
SOURCE = {
    "number": "L1234-1",
    "title": "Droit au préavis",
    "label": "Article L1234-1 : Droit au préavis",
    "url": "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000006901112",
    "excerpt": "Lorsque le licenciement n'est pas motivé par une faute grave ...",
    "score": 7.5,
}


def answer_to(question: str) -> str:
    """What it says to `question`."""
    return f"{' '.join(WORDS)} « {question} » (L1234-1)."


class ScriptedAi:
    """Answers on `url`, a word every `pause` seconds; `go_away` and `come_back` at will, on the same port."""

    def __init__(self, *, pause: float = 0.01) -> None:
        self.pause = pause
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.refusals: deque[tuple[int, str]] = deque()  # status and code that the next questions get
        self.models = {"scripted": "loaded"}  # status by id
        self.hears: str | None = None  # what every recording says; None: there is no speech model
        self.erased: list[str] = []
        self.knows_people = True  # False: the key has no right to export and erase them
        self.most_at_once = 0
        self._at_once = 0
        self._guard = threading.Lock()
        self._port = 0
        self._server: _Server | None = None

    def __enter__(self) -> ScriptedAi:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def come_back(self) -> None:
        """Listen."""
        self._server = _Server(("127.0.0.1", self._port), type("Handler", (_Handler,), {"ai": self}))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def go_away(self) -> None:
        """Listen no more; answers that are being written break off."""
        server, self._server = self._server, None
        if server is not None:
            server.gone.set()
            server.shutdown()
            server.server_close()

    def begin(self, question: str) -> None:
        with self._guard:
            self.asked[question] += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def end(self) -> None:
        with self._guard:
            self._at_once -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gone = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed are what tests want."""


class _Handler(BaseHTTPRequestHandler):
    ai: ScriptedAi
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def parse_request(self) -> bool:
        """A connection that was kept open ends with the server."""
        self.close_connection = self.server.gone.is_set()
        return not self.close_connection and super().parse_request()

    def do_GET(self) -> None:
        if self.path == "/health/ready":
            self._json(200, {"status": "ready", "components": {}})
        elif self.path == "/api/v1/models":
            models = [{"id": name, "name": name, "status": status} for name, status in self.ai.models.items()]
            self._json(200, {"models": models})
        elif self.path.endswith("/export") and not self.ai.knows_people:
            self._refuse(403, "forbidden")
        elif self.path.endswith("/export"):
            self._json(200, {"channel": "telegram", "requests": [{"model": "scripted"}]})
        else:
            self._refuse(404, "not_found")

    def do_DELETE(self) -> None:
        if not self.ai.knows_people:
            return self._refuse(403, "forbidden")
        self.ai.erased.append(self.path.rpartition("/")[2])
        return self._json(200, {"erased": {"requests": 1}})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/audio/transcriptions":
            self._hear()
        elif self.path.endswith("/load"):
            self._load(self.path.split("/")[-2])
        else:
            self._answer(json.loads(sent))

    def _hear(self) -> None:
        if self.ai.hears is None:
            self._refuse(404, "no_speech_model")
        else:
            self._json(200, {"text": self.ai.hears})

    def _load(self, wanted: str) -> None:
        self.ai.models = {name: "loaded" if name == wanted else "available" for name in self.ai.models}
        self._json(200, {"status": "loaded", "model_id": wanted})

    def _answer(self, body: dict[str, Any]) -> None:
        self.ai.bodies.append(body)
        if self.ai.refusals:
            return self._refuse(*self.ai.refusals.popleft())
        if self.ai.models.get(body.get("model", "scripted"), "loaded") != "loaded":
            return self._refuse(409, "model_not_loaded")
        return self._tell(body)

    def _refuse(self, status: int, code: str) -> None:
        self._json(status, {"code": code, "status": status, "message": "No.", "request_id": ""})

    def _tell(self, body: dict[str, Any]) -> None:
        question = str(body.get("message", body.get("prompt")))
        self.ai.begin(question)
        try:
            if body.get("stream"):
                self._stream(question)
            else:
                self.server.gone.wait(self.ai.pause * len(answer_to(question).split()))
                if not self.server.gone.is_set():
                    self._json(200, _answer(question))
        except OSError:
            self.close_connection = True  # the client is gone
        finally:
            self.ai.end()

    def _stream(self, question: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self._event("sources", {"sources": [SOURCE]})
        for word in answer_to(question).split(" "):
            if self.server.gone.wait(self.ai.pause):
                self.close_connection = True
                return
            self._event("token", {"text": f"{word} "})
        self._event("done", _answer(question))

    def _event(self, kind: str, data: object) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())

    def _json(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _answer(question: str) -> dict[str, Any]:
    text = answer_to(question)
    return {
        "response": text,
        "model": "scripted",
        "tokens_used": 30,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "processing_time": 0.1,
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "finish_reason": "stop",
        "parameters_used": {},
        "sources": [SOURCE],
        "citations": [{"number": "L1234-1", "status": "verified"}],
        "cached": False,
        "grounded": True,
        "notice": None,
    }
