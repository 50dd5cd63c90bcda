"""No text ends the line, the header or the part that it stands in: logs, letters, uploads, lists on a terminal."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.formparser import parse_form_data

from ai_core.keys import adopt_key, create_key, list_keys
from common.ai_client import AiClient
from common.database import connection
from common.log import JsonFormatter
from mail_service.addresses import Address
from mail_service.attachments import ReadFile, notices_on
from mail_service.compose import Envelope, compose
from mail_service.rendering import SAMPLE, Templates
from tests.fakes import Core
from tests.mail_service.service import read
from tests.security.hostile_texts import ALL, LINE_ENDS, NOT_TEXT
from tests.security.services import Service

FORGED = '{"time": "2026-01-01T00:00:00+00:00", "level": "info", "message": "key created"}'
HEADERS = {
    "In-Reply-To",
    "References",
    "Message-ID",
    "From",
    "To",
    "Subject",
    "Date",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
}
NAMES = (*LINE_ENDS, *NOT_TEXT, f"x\n{FORGED}", f"x\r\n\r\n{FORGED}", 'a"; name="b', "é" * 200)


@given(st.text(max_size=60) | st.sampled_from([*ALL, f"x\n{FORGED}", f"x\u2028{FORGED}"]), st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_a_log_line_is_one_line_for_every_reader(text: str, other: str) -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": (text,), "levelname": "INFO", "name": "x", "target": other})
    line = JsonFormatter("ai_core").format(record)
    assert line.splitlines() == [line], "str.splitlines knows every line end of Unicode"
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in line)
    parsed = json.loads(line)
    assert parsed["level"] == "info"
    assert parsed["service"] == "ai_core"


def test_a_request_leaves_its_route_in_the_log_and_nothing_that_it_chose(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = service.make_key()
    mark = "gefaelscht-0123"
    with caplog.at_level(logging.DEBUG):
        headers = {"User-Agent": mark, "Referer": mark, "X-Request-ID": f"{mark} x", "Cookie": mark, "X-API-Key": key}
        service.client().get(f"{service.path}?q={mark}", headers=headers)
        service.client().get(f"/{mark}", headers=headers)
        service.client().post(service.path, data=mark, headers=headers)
    lines = [JsonFormatter("x").unmasked(record) for record in caplog.records]
    assert len(lines) >= 3
    assert not [line for line in lines if mark in line or key in line]


class Heard(BaseHTTPRequestHandler):
    """Keeps the last upload."""

    bodies: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.bodies.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
        told = b'{"text": "Bonjour"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silence."""


@contextmanager
def hearing() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The address of a server, and what it was sent."""
    bodies: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listener", (Heard,), {"bodies": bodies}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()


def test_a_recordings_name_adds_no_field_to_its_upload() -> None:
    """Telegram's file names are what people chose."""
    with hearing() as (url, bodies):
        client = AiClient(url, "cdt-none")
        for name in (*NAMES, 'a\r\nContent-Disposition: form-data; name="model"\r\n\r\nevil'):
            assert client.transcribe(b"OggS", name, "telegram-1", language="fr") == "Bonjour"
    for kind, body in bodies:
        environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body))}
        _, form, files = parse_form_data({**environ, "wsgi.input": BytesIO(body)})
        assert dict(form) == {"model": "whisper-1", "language": "fr"}
        assert [(name, file.read()) for name, file in files.items()] == [("file", b"OggS")]
    assert len(bodies) == len(NAMES) + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_files_name_stays_in_its_notice(name: str) -> None:
    notices = notices_on([ReadFile(name, 10, "unsupported")], 1)
    letter = dataclasses.replace(SAMPLE, notices=tuple(notices), sender_name=name, original_subject=name)
    html, text = Templates().render("answer", letter)
    envelope = Envelope(
        sender="assistant@cdt.example",
        recipient=Address(name, "marie@client.example"),
        subject=f"Re: {name}",
        message_id="1@cdt.example",
        in_reply_to="q@client.example",
        references=("q@client.example",),
        date=datetime(2026, 3, 3, tzinfo=timezone.utc),
    )
    cleaned = html.encode("utf-8", "replace").decode(), text.encode("utf-8", "replace").decode()
    raw = compose(
        dataclasses.replace(envelope, subject=header(name), recipient=Address(header(name), "m@c.example")), *cleaned
    )
    reply = read(raw)
    assert set(reply.keys()) == HEADERS
    assert len(reply.keys()) == len(HEADERS)
    assert len(list(reply.iter_parts())) == 2


def header(text: str) -> str:
    """What parsing makes of a header before anybody composes with it."""
    from mail_service.header_text import clean

    return clean(text)


def test_a_keys_name_is_one_line_in_a_list(core: Core) -> None:
    """`keys list` prints names: one with a line end would print a key that there is not."""
    client, headers = core.app.test_client(), core.headers("admin")
    for name in [*LINE_ENDS, f"x\n{FORGED}"]:
        answer = client.post("/api/v1/admin/keys", json={"name": name, "scopes": ["chat"]}, headers=headers)
        assert answer.status_code == 201
        assert answer.get_json()["name"].splitlines() == [answer.get_json()["name"]]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_nor_does_it_get_more_by_a_command_or_an_import(core: Core, end: str) -> None:
    with connection(core.parts.database):
        create_key(f"made{end}forged", ("chat",))
        adopt_key("a" * 64, f"adopted{end}forged", ("chat",))
        names = [key.name for key in list_keys()]
    assert len(names) == 2
    assert all(name.isprintable() and name.splitlines() == [name] for name in names)
