"""Behind a socket that systemd holds a restart loses no request."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.end_to_end.server import Server
from tests.held_socket import HeldServer

CLIENTS = 4


def test_a_restart_under_load_loses_no_request(tmp_path: Path) -> None:
    with HeldServer(tmp_path, RATE_LIMIT_USER_PER_MINUTE="100000") as server:
        key = server.new_key("chat")
        server.start()
        first = server.worker_pids()
        statuses: list[int] = []
        over = threading.Event()

        def keep_asking(server: Server, number: int) -> None:
            while not over.is_set():
                statuses.append(server.post("/api/v1/chat", {"message": f"Question {number} ?"}, key)[0])

        clients = [threading.Thread(target=keep_asking, args=(server, number)) for number in range(CLIENTS)]
        try:
            for client in clients:
                client.start()
            server.restart()
            asked = len(statuses)
            while len(statuses) < asked + CLIENTS:
                over.wait(0.01)
            assert server.worker_pids() != first
        finally:
            over.set()
            for client in clients:
                client.join(70)
            server.stop()
    assert set(statuses) == {200}
