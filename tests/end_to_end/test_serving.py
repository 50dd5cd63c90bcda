"""The running server with the embedded model: many clients at once, clients that leave, a worker that is killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.end_to_end.server import Server

CLIENTS = 16
# A random model has nothing to say and says it at length.
LONG = {"message": "Quelle est la durée légale du travail ?", "grounding": False, "temperature": 1.0, "max_tokens": 400}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a random model and without the Code du travail, for what needs neither."""
    directory = tmp_path_factory.mktemp("server")
    model = write_tiny_model(directory / "tiny.gguf")
    running = Server(directory, MODEL_FILE=str(model), ENGINE_SLOTS=str(CLIENTS))
    running.new_key()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key("chat")


def test_sixteen_clients_stream_at_once_and_health_answers_meanwhile(server: Server, key: str) -> None:
    order: list[int] = []
    waits: list[float] = []
    running = threading.Event()

    def ask(client: int) -> dict[str, Any]:
        last: dict[str, Any] = {}
        for name, data in server.stream({**LONG, "seed": client}, key).events():
            if name == "token":
                order.append(client)
                running.set()
            last = data
        return last

    def watch_health() -> None:
        running.wait(30)
        for _ in range(10):
            began = time.perf_counter()
            assert server.get("/health") == {"status": "ok"}
            waits.append(time.perf_counter() - began)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch_health)
    watcher.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(ask, range(CLIENTS)))
    watcher.join()
    assert all(answer["finish_reason"] in ("stop", "length") for answer in answers)
    assert len(set(order)) == CLIENTS
    changes = sum(before != after for before, after in itertools.pairwise(order))
    assert changes > len(order) / 4, "answers must interleave, not follow one another"
    assert len(waits) == 10


def test_clients_that_leave_free_their_slots_within_a_second(server: Server, key: str) -> None:
    streams = [server.stream({**LONG, "max_tokens": 1200, "seed": client}, key) for client in range(CLIENTS)]
    readers = [stream.events() for stream in streams]
    for reader in readers:
        next(reader)
        next(reader)
    for stream in streams[:8]:
        stream.leave()
    until = time.monotonic() + 1.0
    while server.readiness()["engine"]["slots_busy"] > 8 and time.monotonic() < until:
        time.sleep(0.02)
    assert server.readiness()["engine"]["slots_busy"] <= 8
    for stream in streams[8:]:
        stream.leave()


def test_a_client_that_leaves_a_whole_answer_frees_its_slot(server: Server, key: str) -> None:
    until = time.monotonic() + 2.0
    while server.readiness()["engine"]["slots_busy"] and time.monotonic() < until:
        time.sleep(0.02)
    connection = server.send({**LONG, "max_tokens": 1200}, key)
    until = time.monotonic() + 5.0
    while not server.readiness()["engine"]["slots_busy"] and time.monotonic() < until:
        time.sleep(0.01)
    assert server.readiness()["engine"]["slots_busy"] == 1
    connection.close()
    until = time.monotonic() + 1.0
    while server.readiness()["engine"]["slots_busy"] and time.monotonic() < until:
        time.sleep(0.02)
    assert server.readiness()["engine"]["slots_busy"] == 0


def test_a_killed_worker_comes_back_with_its_keys(server: Server, key: str) -> None:
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.5)
    server.wait_until_ready()
    assert server.worker_pids() != [worker]
    status, answer = server.post("/api/v1/chat", {"message": "Bonjour"}, key)
    assert status == 200
    assert answer["response"]


def test_it_stops_cleanly_on_ctrl_c_and_its_logs_hold_no_question(tmp_path: Path) -> None:
    server = Server(tmp_path)
    key = server.new_key("chat")
    server.start()
    status, _ = server.post("/api/v1/chat", {"message": "Mon patron Jean Dupont me doit 3 mois", "user_id": "jd"}, key)
    assert status == 200
    assert server.stop() == 0
    logged = server.log.read_text() + "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert '"route": "/api/v1/chat"' in logged
    for secret in (key, "Dupont", "patron", "jd"):
        assert secret not in logged


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request_uri_too_long"),
        (b"CONG\xc3\xa9S / \r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431, "request_header_fields_too_large"),
    ],
)
def test_what_is_no_request_gets_the_same_error_shape(server: Server, raw: bytes, status: int, code: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        answer = connection.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/json" in head
    assert json.loads(body)["code"] == code
    assert "aaaa" not in server.log.read_text()


def test_a_bad_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    server = Server(tmp_path, ENGINE_SLOTS="many")
    with pytest.raises(Exception, match="returned non-zero exit status 2") as failure:
        server.command("check-config")
    assert failure.value.stderr == "ai-core: ENGINE_SLOTS: 'many' is not a whole number\n"  # type: ignore[attr-defined]
