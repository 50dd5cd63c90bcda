"""A service behind nginx that tells what reached it: for tests of what nginx passes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Upstream(ThreadingHTTPServer):
    """Answers every request with `status` and, as JSON, its line and headers (in small letters), as soon as
    `held` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.status = 200
        self.seen: list[str] = []
        self.held = threading.Event()
        self.held.set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Echo(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        self.server.seen.append(f"{self.command} {self.path}")
        assert self.server.held.wait(60)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"line": f"{self.command} {self.path}", "length": length, "headers": headers}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's own names

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `seen`."""


@contextmanager
def upstream() -> Iterator[Upstream]:
    """One of them, until the block ends."""
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
