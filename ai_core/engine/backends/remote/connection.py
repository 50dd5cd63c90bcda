"""One HTTP/1.1 connection to a server. http.client, because it reads no proxy from the environment and lets another
thread shut the socket, which is how an answer is cancelled while no token arrives."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.remote import refusals
from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.errors import ServerFailed

CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 120.0  # of an answer, between two reads: the prompt of a long question on a slow machine
MOST_BYTES = 4 * 1024 * 1024  # of an answer that is not streamed
READ_BYTES = 64 * 1024


class Connection:
    """For one thread, except `abort`. Errors are ServerFailed, ServerBusy, RequestRefused and their kinds."""

    def __init__(self, address: Address, api_key: str | None) -> None:
        self._address = address
        self._headers = {"Accept": "application/json, text/event-stream", "User-Agent": "code-du-travail-neo"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {checked_key(api_key)}"
        self._http: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._aborted = False

    def ask(self, path: str, body: Any = None, *, seconds: float) -> Any:
        """The JSON that GET, or POST with a `body`, of `path` gives within `seconds`."""
        text = self.ask_text(path, body, seconds=seconds)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ServerFailed(f"{self._address}: {path} is not JSON") from error

    def ask_text(self, path: str, body: Any = None, *, seconds: float) -> bytes:
        """The same as bytes, whatever they are."""
        with self._translated(path), self._within(seconds):
            response = self._send(path, body)
            text = response.read(MOST_BYTES)
            if response.read(1):
                raise ServerFailed(f"{self._address}: {path} is too long an answer")
            if response.status != http.client.OK:
                raise refusals.refusal(self._address, response.status, response.headers["Retry-After"], text)
        if response.will_close:
            self.close()
        return text

    def stream(self, path: str, body: Any) -> Iterator[bytes]:
        """The bytes of the event stream that POST of `body` gives, as they arrive."""
        with self._translated(path):
            response = self._send(path, body)
            if response.status != http.client.OK:
                text = response.read(MOST_BYTES)
                raise refusals.refusal(self._address, response.status, response.headers["Retry-After"], text)
            if response.headers.get_content_type() != "text/event-stream":
                raise ServerFailed(f"{self._address}: {path} does not stream")
            while data := response.read1(READ_BYTES):
                yield data

    def abort(self) -> None:
        """End whatever the connection's own thread waits for. Safe from any thread, and twice."""
        self._aborted = True
        if self._socket is not None:
            with suppress(OSError):
                # Not SSLSocket's own shutdown, which would take TLS away from under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
        self._http = self._socket = None

    def _send(self, path: str, body: Any) -> http.client.HTTPResponse:
        kept = self._http is not None
        try:
            return self._send_once(path, body)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not kept or self._aborted:
                raise
        return self._send_once(path, body)  # the server had closed the kept connection: once more on a fresh one

    def _send_once(self, path: str, body: Any) -> http.client.HTTPResponse:
        connection = self._http or self._connect()
        if body is None:
            connection.request("GET", path, headers=self._headers)
        else:
            content = json.dumps(body).encode()
            connection.request("POST", path, content, {**self._headers, "Content-Type": "application/json"})
        return connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.host, self._address.port
        if self._address.tls:
            self._http = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=_tls())
        else:
            self._http = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        self._http.connect()
        self._socket = self._http.sock
        self._socket.settimeout(SILENCE_SECONDS)
        if self._aborted:
            raise ConnectionAbortedError
        return self._http

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """Foreign exceptions as ours. Their own texts stay out: http.client quotes what it was sent."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            why = "took too long, or was given up" if self._aborted else why
            raise ServerFailed(f"{self._address}: {path}: {why}") from None

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """A socket's timeout starts anew with each byte; this one does not."""
        timer = threading.Timer(seconds, self.abort)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def checked_key(key: str) -> str:
    """`key`, if it can be a header. http.client's own error would quote it."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise BackendError("remote_key: holds characters that cannot be sent")
    return key


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
