"""HTTP as https://core.telegram.org/bots/api#making-requests has it, and what goes wrong with it on demand."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from werkzeug.formparser import MultiPartParser

from tests.telegram_calls import Call, Upload, prepared
from tests.telegram_faults import Faults
from tests.telegram_methods import Methods
from tests.telegram_rules import Refused, bad

STATUS_TEXT = {401: "Unauthorized", 404: "Not Found"}


class Telegram(Protocol):
    """The server that requests are for: see TelegramServer. `guard` is held while a method is called."""

    token: str
    methods: Methods
    faults: Faults
    calls: list[Call]
    strange: list[str]
    guard: threading.RLock
    closed: threading.Event


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A bot that goes away in the middle is what tests want."""


class Handler(BaseHTTPRequestHandler):
    telegram: Telegram
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `calls` instead."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        found = re.fullmatch(r"(/file)?/bot([^/]*)/(.+)", parts.path)
        if found is None or not re.fullmatch(r"\d+:[\w-]+", found[2]):
            return self._send(Refused(404, STATUS_TEXT[404]))
        if found[2] != self.telegram.token:
            return self._send(Refused(401, STATUS_TEXT[401]))
        if found[1]:
            return self._file(found[3])
        return self._method(found[3], parts.query, body)

    def _method(self, name: str, query: str, body: bytes) -> None:
        telegram, began = self.telegram, time.monotonic()
        parameters: dict[str, Any] = {}
        fault = telegram.faults.take(name)
        outcome: object = fault.refusal if fault is not None and not fault.done else None
        if outcome is None and (fault is None or fault.done):
            try:
                parameters = self._parameters(query, body)
                outcome = self._called(name, parameters)
            except Refused as refused:
                outcome = refused
        if fault is not None and fault.kind == "fail":
            outcome = fault.refusal
        status = outcome.status if isinstance(outcome, Refused) else 200
        telegram.calls.append(
            Call(name, parameters, 0 if fault is not None and fault.kind == "drop" else status, began)
        )
        if fault is not None and fault.kind == "hang":
            telegram.closed.wait(fault.seconds)
        if fault is not None and fault.kind == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(outcome)

    def _called(self, name: str, parameters: Mapping[str, Any]) -> object:
        telegram = self.telegram
        try:
            call = prepared(telegram.methods, name, parameters)
        except Refused as refused:
            if "has no parameter" in refused.description or refused.status == 404:
                telegram.strange.append(f"{name}: {refused.description}")
            raise
        try:
            if name == "getUpdates":  # it waits
                return call()
            with telegram.guard:
                return call()
        except (ValueError, TypeError, KeyError) as error:
            telegram.strange.append(f"{name}: {type(error).__name__}")
            raise bad("a parameter cannot be read") from None

    def _parameters(self, query: str, body: bytes) -> dict[str, Any]:
        if query:
            self.telegram.strange.append(f"parameters in the address: {self.path.rpartition('/')[2].partition('?')[0]}")
            raise Refused(400, "Bad Request: parameters in the address, where logs show them")
        kind = EmailMessage()
        kind["Content-Type"] = self.headers.get("Content-Type") or "application/octet-stream"
        if not body:
            return {}
        if kind.get_content_type() == "application/json":
            told = json.loads(body)
            assert isinstance(told, dict)
            return told
        if kind.get_content_type() == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
        boundary = str(kind["Content-Type"].params["boundary"]).encode()
        form, files = MultiPartParser().parse(BytesIO(body), boundary, len(body))
        uploads = {name: Upload(file.filename or "", file.read()) for name, file in files.items()}
        return {**form.to_dict(), **uploads}

    def _file(self, path: str) -> None:
        content = self.telegram.methods.files.get(path.removeprefix("documents/"))
        if content is None:
            return self._send(Refused(404, STATUS_TEXT[404]))
        fault = self.telegram.faults.take("download")
        if fault is not None and fault.refusal is not None:
            return self._send(fault.refusal)
        return self._write(200, "application/octet-stream", content)

    def _send(self, outcome: object) -> None:
        if not isinstance(outcome, Refused):
            return self._write(200, "application/json", json.dumps({"ok": True, "result": outcome}).encode())
        told: dict[str, Any] = {"ok": False, "error_code": outcome.status, "description": outcome.description}
        if outcome.retry_after is not None:
            told["parameters"] = {"retry_after": outcome.retry_after}
        return self._write(outcome.status, "application/json", json.dumps(told).encode())

    def _write(self, status: int, kind: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:  # the bot is gone
            self.close_connection = True
