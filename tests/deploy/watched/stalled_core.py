"""An AI core whose engine can be stopped in the middle of a step: the application and the engine within the test."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from werkzeug.serving import make_server

from common.database import connection
from tests.deploy.watched.monitoring import Service
from tests.fakes import build_core

QUESTIONS = 30
KEPT = 5  # rows of the usage log, where its database is away


class StalledCore:
    """A context; answers as soon as it is not `frozen`."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self._core = build_core(home, RATE_LIMIT_PER_MINUTE="10000", MAX_WAITING_REQUESTS="100")
        self._core.install_code({"L1237-1": "La démission ne se présume pas."})
        self._core.parts.operations.usage._capacity = KEPT  # ten thousand take long to fill
        self._server = make_server("127.0.0.1", 0, self._core.app, threaded=True)
        self.service = Service(
            "engine", "engine.example.org", "ai", self._server.server_port, self._core.key("metrics")
        )
        self._people = ThreadPoolExecutor(QUESTIONS)
        self._headers = self._core.headers("chat")

    def __enter__(self) -> StalledCore:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self._people.shutdown()
        self._server.shutdown()
        self._core.parts.model.stop()
        self._core.parts.operations.usage.stop()

    def freeze(self) -> None:
        """The engine takes a step that has no end, and people go on asking."""
        self._core.backend.freeze()
        for number in range(QUESTIONS):
            self._people.submit(self.ask, f"Question {number}")

    def thaw(self) -> None:
        """The step ends."""
        self._core.backend.thaw()

    def break_steps(self) -> None:
        """Each step fails, and people go on asking."""
        self._core.backend.fail_next(*[RuntimeError("broken")] * 1_000)
        for number in range(10 * QUESTIONS):
            self._people.submit(self.ask, f"Once more {number}")

    def mend_steps(self) -> None:
        self._core.backend._failures.clear()

    def ask(self, question: str) -> int:
        """The status of an answer."""
        url = f"http://127.0.0.1:{self.service.port}/api/v1/chat"
        return requests.post(url, json={"message": question}, headers=self._headers, timeout=120).status_code

    def lose_database(self) -> None:
        """What people use can be written nowhere."""
        self._rename("request_usage", "away")

    def find_database(self) -> None:
        self._rename("away", "request_usage")

    def _rename(self, old: str, new: str) -> None:
        with connection(self._core.parts.database):
            self._core.parts.database.execute_sql(f"ALTER TABLE {old} RENAME TO {new}")
