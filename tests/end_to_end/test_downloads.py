"""A download through the running service, killed in the middle of it; and on the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ai_core.catalog.downloading import noise
from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.end_to_end.server import ROOT, Server
from tests.hub_server import BLOCK, HubServer, Repository

WEIGHTS = "other.Q8_0.gguf"
ROUTE = "/api/v1/models/downloads"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """Has a model that loads, made long by bytes that belong to no tensor."""
    model = write_tiny_model(tmp_path / "original.gguf").read_bytes() + noise(4_000_000)
    with HubServer(Repository("acme/other", {WEIGHTS: model, "README.md": b"# Other"})) as server:
        yield server
        assert server.strange == []


@pytest.fixture
def server(tmp_path: Path, hub: HubServer) -> Iterator[Server]:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    running = Server(tmp_path, MODEL_FILE=str(model), ENGINE_SLOTS="2", HF_ENDPOINT=hub.url)
    running.start()
    yield running
    hub.faults.released.set()
    running.stop()


def until(look: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def kill(server: Server) -> None:
    """Master and worker at once, as when the machine runs out of memory or power."""
    assert server._process is not None
    for pid in (server._process.pid, *server.worker_pids()):
        os.kill(pid, signal.SIGKILL)
    server._process.wait()


def test_killed_at_half_it_goes_on_by_itself_and_verifies(server: Server, hub: HubServer) -> None:
    content = hub.repositories["acme/other"].files[WEIGHTS]
    half = len(content) // 2 // BLOCK * BLOCK
    hub.faults.hold_at = half
    key = {"X-API-Key": server.new_key("models")}
    status, first = server.post("/api/v1/models/download", {"model_name": "acme/other"}, key["X-API-Key"])
    assert status == 202
    assert hub.faults.held.wait(60)
    joined = server.post("/api/v1/models/download", {"model_name": "acme/other"}, key["X-API-Key"])
    assert joined[1]["id"] == first["id"]
    until(lambda: server.get(f"{ROUTE}/{first['id']}", key)["bytes_done"] == half)
    assert server.get(f"{ROUTE}/{first['id']}", key)["progress"] in (49, 50)

    kill(server)
    hub.faults.released.set()
    server.start()

    done = until(lambda: (seen := server.get(f"{ROUTE}/{first['id']}", key))["status"] == "done" and seen)
    assert (done["progress"], done["error"]) == (100, None)
    assert len(server.get(ROUTE, key)["downloads"]) == 1
    assert (server.data_dir / "models" / "other" / WEIGHTS).read_bytes() == content
    assert hub.sent[WEIGHTS] == len(content)  # no byte twice
    assert hub.ranges(WEIGHTS) == [None, f"bytes={half}-"]

    assert done["model_id"] == "other"
    status, loaded = server.post("/api/v1/models/load", {"model_id": "other"}, key["X-API-Key"])
    assert status == 200, loaded
    assert server.get("/api/v1/models/other", key)["status"] == "loaded"


def test_the_command_line_shows_the_plan_then_fetches(tmp_path: Path, hub: HubServer) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "data"), "HF_ENDPOINT": hub.url}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ai_core", "models", "download", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    plan = run("acme/other", "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert WEIGHTS in plan.stdout
    assert hub.sent == {}
    done = run("acme/other")
    assert done.returncode == 0, done.stderr
    assert "models/other" in done.stdout
    assert (tmp_path / "data" / "models" / "other" / WEIGHTS).is_file()
    refused = run("acme/nothing")
    assert refused.returncode == 1
    assert "does not exist" in refused.stderr
