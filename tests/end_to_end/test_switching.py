"""Models change places under streaming clients: nobody hangs, and memory comes back."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import psutil

from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.end_to_end.server import Server

CLIENTS, SWITCHES = 20, 6
ENDS = {"stop", "length", "deadline", "model_unloaded"}
REFUSALS = {503, 409}  # being loaded, or its place is taken: both say so, 503 with Retry-After
MARGIN = 48 * 2**20  # bytes; one model's cache alone takes more than 30 MiB here


def ask(server: Server, key: str, number: int) -> str:
    """How one streamed answer ended: its finish reason, or the status of a documented error."""
    body = {"message": f"Question {number} ?", "grounding": False, "max_tokens": 60, "stream": True}
    connection = server.send(body, key)
    response = connection.getresponse()
    raw = response.read().decode()
    connection.close()
    if response.status != 200:
        error = json.loads(raw)
        assert response.status in REFUSALS, error
        assert response.status != 503 or int(response.headers["Retry-After"]) > 0
        return str(response.status)
    name, data = raw.strip().split("\n\n")[-1].split("\n")
    assert name == "event: done", raw[-300:]
    reason: str = json.loads(data.removeprefix("data: "))["finish_reason"]
    return reason


def test_twenty_streaming_clients_and_six_switches(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 6)):
        write_tiny_model(tmp_path / f"{name}.gguf", seed=seed)
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    declared = {name: {"path": f"../{name}.gguf"} for name in ("one", "two")}
    (data_dir / "models.json").write_text(json.dumps({"models": declared, "default_model": "one"}))
    server = Server(
        data_dir, ENGINE_SLOTS="64", ENGINE_THREADS="1", MODEL_SWITCH_GRACE="2", RATE_LIMIT_USER_PER_MINUTE="100000"
    )
    key = server.new_key("chat", "models")
    server.start()
    try:
        process = psutil.Process(server.worker_pids()[0])
        over = threading.Event()
        ends: Counter[str] = Counter()
        numbers = iter(range(1_000_000))

        def keep_asking() -> None:
            while not over.is_set():
                ends[ask(server, key, next(numbers))] += 1

        clients = [threading.Thread(target=keep_asking) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        sizes = []
        for turn in range(SWITCHES):
            wanted = ("two", "one")[turn % 2]
            status, answer = server.post(f"/api/v1/models/{wanted}/load", {}, key)
            assert status == 200, answer
            sizes.append(process.memory_info().rss)
        over.set()
        for client in clients:
            client.join(70)
        assert not any(client.is_alive() for client in clients)
        assert set(ends) <= ENDS | {str(status) for status in REFUSALS}
        assert ends["length"] > CLIENTS
        assert sizes[-1] < sizes[1] + MARGIN, sizes
        before = process.memory_info().rss
        assert server.post("/api/v1/models/one/unload", {}, key)[0] == 200
        assert process.memory_info().rss < before - 2**20
        assert server.post("/api/v1/chat", {"message": "Bonjour"}, key)[0] == 409
    finally:
        server.stop()
