"""/models/download and /models/downloads over a local Hub."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from ai_core.storage import AuditEntry
from common.database import connection
from tests.ai_core.catalog.downloading import safetensors_repository
from tests.fakes import Core, build_core
from tests.hub_server import HubServer

ROUTE = "/api/v1/models/download"
TINY = {"model_name": "acme/tiny"}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(safetensors_repository()) as server:
        yield server


@pytest.fixture
def core(tmp_path: Path, hub: HubServer) -> Iterator[Core]:
    built = build_core(tmp_path, HF_ENDPOINT=hub.url, MAX_WAITING_DOWNLOADS="1", RATE_LIMIT_PER_MINUTE="100000")
    assert built.parts.downloads is not None
    built.parts.downloads.start()
    yield built
    built.parts.downloads.stop()
    built.parts.model.stop()


@pytest.fixture
def ask(core: Core) -> Any:
    """Send a request with a key of the scope `models`."""
    client, headers = core.app.test_client(), core.headers("models")

    def send(method: str, path: str, body: dict[str, Any] | None = None) -> TestResponse:
        return client.open(path, method=method, json=body, headers=headers)

    return send


def ended(ask: Any, download_id: str) -> dict[str, Any]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        seen: dict[str, Any] = ask("GET", f"/api/v1/models/downloads/{download_id}").get_json()
        if seen["status"] in ("done", "failed", "cancelled"):
            return seen
        time.sleep(0.05)
    raise AssertionError(seen)


def test_a_download_is_begun_watched_and_listed(core: Core, ask: Any, hub: HubServer) -> None:
    begun = ask("POST", ROUTE, TINY)
    assert begun.status_code == 202
    assert begun.get_json()["status"] in ("queued", "downloading")
    done = ended(ask, begun.get_json()["id"])
    assert (done["status"], done["progress"], done["model_id"], done["error"]) == ("done", 100, "tiny", None)
    assert done["commit"] == hub.repositories["acme/tiny"].commit
    assert done["bytes_done"] == done["bytes_total"] > 300_000
    assert ask("GET", "/api/v1/models/downloads").get_json()["downloads"] == [done]
    assert (core.settings.data_dir / "models" / "tiny" / "model.safetensors").is_file()


def test_half_way_there_are_figures(ask: Any, hub: HubServer) -> None:
    hub.faults.hold_at = 150_000
    download_id = ask("POST", ROUTE, TINY).get_json()["id"]
    assert hub.faults.held.wait(60)
    end = time.monotonic() + 60
    while (seen := ask("GET", f"/api/v1/models/downloads/{download_id}").get_json())["progress"] < 45:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert seen["status"] == "downloading"
    assert 0 < seen["bytes_done"] < seen["bytes_total"]
    assert seen["bytes_per_second"] > 0
    assert seen["estimated_seconds"] >= 0
    assert ask("POST", ROUTE, TINY).get_json()["id"] == download_id
    cancelled = ask("DELETE", f"/api/v1/models/downloads/{download_id}")
    assert (cancelled.status_code, cancelled.get_json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_name", "http://127.0.0.1/x"),
        ("model_name", "../../etc/passwd"),
        ("model_name", "acme/tiny/../../x"),
        ("model_name", "tiny"),
        ("model_name", "acme/tiny\n"),
        ("model_name", "acme/tiny?x=1"),
        ("filename", "../model.gguf"),
        ("filename", "/etc/passwd"),
        ("filename", "a//b"),
        ("revision", "../main"),
        ("model_format", "exe"),
        ("auth_token", "a b"),
        ("auth_token", "hf_x\r\nHost: y"),
        ("endpoint", "http://127.0.0.1"),
    ],
)
def test_each_bad_field_is_named(ask: Any, hub: HubServer, field: str, value: str) -> None:
    refused = ask("POST", ROUTE, {**TINY, field: value})
    assert refused.status_code == 422
    assert list(refused.get_json()["errors"]) == [field]
    assert hub.requests == []


def test_a_full_queue_says_when_to_come_back(ask: Any, hub: HubServer) -> None:
    hub.faults.hold_at = 150_000
    ask("POST", ROUTE, TINY)
    assert hub.faults.held.wait(60)
    assert ask("POST", ROUTE, {"model_name": "acme/a"}).status_code == 202
    refused = ask("POST", ROUTE, {"model_name": "acme/b"})
    assert (refused.status_code, refused.get_json()["code"]) == (503, "too_many_downloads")
    assert int(refused.headers["Retry-After"]) > 0


def test_what_is_not_there_or_done_is_refused(ask: Any) -> None:
    for method in ("GET", "DELETE"):
        missing = ask(method, "/api/v1/models/downloads/nothing")
        assert (missing.status_code, missing.get_json()["code"]) == (404, "unknown_download")
    download_id = ask("POST", ROUTE, TINY).get_json()["id"]
    ended(ask, download_id)
    done = ask("DELETE", f"/api/v1/models/downloads/{download_id}")
    assert (done.status_code, done.get_json()["code"]) == (409, "download_done")


def test_only_the_scope_models_may(core: Core) -> None:
    for scope in ("chat", "admin"):
        headers = core.headers(scope)
        for method, path in (
            ("POST", ROUTE),
            ("GET", "/api/v1/models/downloads"),
            ("DELETE", "/api/v1/models/downloads/x"),
        ):
            assert core.app.test_client().open(path, method=method, json=TINY, headers=headers).status_code == 403


def test_the_token_is_used_and_nowhere_else(
    core: Core, ask: Any, hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.repositories["acme/tiny"] = safetensors_repository(access=frozenset({"hf_good"}))
    hub.faults.hold_at = 150_000
    begun = ask("POST", ROUTE, {**TINY, "auth_token": "hf_good"})
    assert "hf_good" not in begun.text
    assert hub.faults.held.wait(60)
    assert b"hf_good" not in what_processes_show()
    hub.faults.hold_at = None
    hub.faults.released.set()
    assert "hf_good" not in str(ended(ask, begun.get_json()["id"]))
    assert "hf_good" not in caplog.text
    for path in core.settings.data_dir.rglob("*"):
        assert not path.is_file() or b"hf_good" not in path.read_bytes()
    with connection(core.parts.database):
        entry = AuditEntry.select().where(AuditEntry.action == "downloads.begin").get()
    assert (entry.target, entry.outcome) == ("acme/tiny", "done")


def what_processes_show() -> bytes:
    """Arguments and environment of every process."""
    shown = b""
    for path in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
        try:
            shown += path.read_bytes()
        except OSError:
            continue  # it ended, or is another user's
    return shown


def test_the_metrics_count_them(core: Core, ask: Any) -> None:
    ended(ask, ask("POST", ROUTE, TINY).get_json()["id"])
    text = core.app.test_client().get("/metrics", headers=core.headers("admin")).text
    assert 'ai_core_downloads{status="done"} 1.0' in text
    assert "ai_core_download_bytes_total 3" in text
