"""/admin/cleanup, /admin/purge-logs, /admin/system-status, /admin/logs."""

from __future__ import annotations

import fcntl
import json
import os
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ai_core import system_status
from ai_core.storage import CleanupRun
from ai_core.system_status import Room
from common.database import connection
from tests.ai_core.api.conftest import Administrator
from tests.fakes import Core, build_core

TODAY = datetime.now(timezone.utc).date()


def log_file(core: Core, days: int, level: str = "info", text: str = "x" * 100) -> Path:
    directory = core.settings.data_dir / "logs"
    directory.mkdir(exist_ok=True)
    path = directory / f"ai_core.{level}.{(TODAY - timedelta(days=days)).isoformat()}.log"
    path.write_text(text)
    return path


def leftover(core: Core, name: str, *, age: float = 7200.0) -> Path:
    path = core.settings.data_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x" * 50)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_cleanup_frees_what_it_says(administrator: Administrator) -> None:
    core = administrator.core
    old, new = log_file(core, 31), log_file(core, 30)
    killed, fresh = leftover(core, ".secret_key.abc"), leftover(core, ".secret_key.def", age=60)
    response = administrator.post("cleanup", {"operations": ["clean_logs", "clean_temp", "clean_logs"]})
    body = response.get_json()
    assert response.status_code == 200
    assert (body["status"], body["space_freed"]) == ("completed", 150)
    assert body["operations_completed"] == ["clean_logs", "clean_temp"]
    assert datetime.fromisoformat(body["started_at"]).tzinfo is not None
    assert [path.exists() for path in (old, new, killed, fresh)] == [False, True, False, True]
    with connection(core.parts.database):
        run = CleanupRun.get()
    assert (run.operations, run.space_freed) == ("clean_logs,clean_temp", 150)
    last = administrator.get("system-status").get_json()["last_cleanup"]
    assert datetime.fromisoformat(last).replace(tzinfo=None) == run.finished_at


def test_a_dry_run_removes_nothing_and_counts_the_same(administrator: Administrator) -> None:
    old, killed = log_file(administrator.core, 40), leftover(administrator.core, "tmp/upload")
    body = administrator.post("cleanup", {"operations": ["full_cleanup"], "dry_run": True}).get_json()
    assert (body["status"], body["space_freed"]) == ("dry_run", 150)
    assert old.exists()
    assert killed.exists()
    assert administrator.get("system-status").get_json()["last_cleanup"] is None


def test_a_full_cleanup_does_everything_and_twice_is_fine(administrator: Administrator) -> None:
    log_file(administrator.core, 40)
    first, second = (administrator.post("cleanup", {"operations": ["full_cleanup"]}).get_json() for _ in range(2))
    assert {"clean_logs", "clean_temp", "full_cleanup"} <= set(first["operations_completed"])
    assert (first["space_freed"], second["space_freed"]) == (100, 0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operations": []},
        {"operations": ["clean_everything"]},
        {"operations": "clean_logs"},
        {"operations": ["clean_logs"], "force": "yes"},
        {"operations": ["clean_logs"], "surprise": 1},
    ],
)
def test_what_is_no_cleanup_is_refused(administrator: Administrator, body: object) -> None:
    assert administrator.post("cleanup", body).status_code == 422


def test_a_cleanup_waits_for_answers_unless_forced(tmp_path: Path) -> None:
    core = build_core(tmp_path, "mot " * 500, step_seconds=0.01)
    administrator = Administrator(core)
    stream = core.app.test_client().post(
        "/api/v1/chat", json={"message": "Bonjour", "stream": True}, headers=core.headers("chat")
    )
    try:
        refused = administrator.post("cleanup", {"operations": ["clean_temp"]})
        assert (refused.status_code, refused.get_json()["code"]) == (409, "generating")
        assert administrator.post("cleanup", {"operations": ["clean_temp"], "dry_run": True}).status_code == 200
        assert administrator.post("cleanup", {"operations": ["clean_temp"], "force": True}).status_code == 200
    finally:
        stream.close()
        core.parts.model.stop()


def test_one_cleanup_at_a_time_also_across_processes(administrator: Administrator) -> None:
    with (administrator.core.settings.data_dir / ".cleanup.lock").open("ab") as other_process:
        fcntl.flock(other_process, fcntl.LOCK_EX)
        refused = administrator.post("cleanup", {"operations": ["clean_temp"], "force": True})
        assert (refused.status_code, refused.get_json()["code"]) == (409, "operation_running")
    assert administrator.post("cleanup", {"operations": ["clean_temp"]}).status_code == 200
    assert administrator.outcomes() == [
        ("admin.clean_up", "clean_temp", "refused: operation_running"),
        ("admin.clean_up", "clean_temp", "done"),
    ]


def test_an_operation_that_fails_does_not_stop_the_others(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: bool) -> int:
        raise PermissionError("/data/logs")

    cleanup = administrator.core.parts.operations.cleanup
    monkeypatch.setattr(cleanup, "_operations", {**cleanup._operations, "clean_logs": fail})
    body = administrator.post("cleanup", {"operations": ["clean_logs", "clean_temp"]}).get_json()
    assert (body["status"], body["operations_completed"]) == ("partial", ["clean_temp"])
    assert "clean_logs" in body["message"]
    alone = administrator.post("cleanup", {"operations": ["clean_logs"]})
    assert (alone.status_code, alone.get_json()["code"]) == (500, "cleanup_failed")
    assert administrator.outcomes()[-1] == ("admin.clean_up", "clean_logs", "failed: cleanup_failed")


def test_a_file_that_is_being_written_is_no_leftover(administrator: Administrator) -> None:
    written = leftover(administrator.core, "tmp/conversion.part")
    with written.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        administrator.post("cleanup", {"operations": ["clean_temp"]})
        assert written.exists()
    administrator.post("cleanup", {"operations": ["clean_temp"]})
    assert not written.exists()


@pytest.mark.parametrize("name", ["models/.big-Q4_K_M.gguf.part", "tools/.llama.cpp-1.part", "knowledge/.building-1/a"])
def test_what_killed_processes_left_goes_and_what_they_made_stays(administrator: Administrator, name: str) -> None:
    left, made = leftover(administrator.core, name), leftover(administrator.core, "models/big-Q4_K_M.gguf")
    os.utime(left.parent, (1, 1))
    assert administrator.post("cleanup", {"operations": ["clean_temp"]}).get_json()["space_freed"] == 50
    assert [left.exists(), made.exists()] == [False, True]


def test_a_models_operation_keeps_declared_models(administrator: Administrator) -> None:
    made = leftover(administrator.core, "models/big-Q4_K_M.gguf")
    assert administrator.post("cleanup", {"operations": ["clean_models", "clean_cache"]}).status_code == 200
    assert made.exists()


def test_logs_are_purged_as_asked(administrator: Administrator) -> None:
    kept = [log_file(administrator.core, days) for days in (0, 5, 30)]
    gone = [log_file(administrator.core, days) for days in (31, 300)]
    error = log_file(administrator.core, 300, "error")
    nothing = administrator.post("purge-logs")
    assert nothing.get_json()["files_removed"] == 0  # fewer than a hundred
    body = administrator.post("purge-logs", {"keep_latest_files": 0, "log_levels": ["info"]}).get_json()
    assert (body["status"], body["files_removed"], body["space_freed"]) == ("completed", 2, 200)
    assert datetime.fromisoformat(body["purged_at"]).tzinfo is not None
    assert all(path.exists() for path in (*kept, error))
    assert not any(path.exists() for path in gone)
    for name, value in (("older_than_days", -1), ("log_levels", ["loud"]), ("log_levels", []), ("keep", 1)):
        assert administrator.post("purge-logs", {name: value}).status_code == 422


def test_the_status_tells_what_there_is(administrator: Administrator) -> None:
    body = administrator.get("system-status").get_json()
    for room in (body["disk_usage"], body["memory_usage"]):
        assert room["total"] >= room["free"] > 0
        assert 0 <= room["usage_percent"] <= 100
    assert body["model_status"]["loaded_model"] == "scripted"
    assert body["queue"] == {"waiting": 0, "running": 0, "slots": 4}
    assert body["components"]["database"]["status"] == "ok"
    assert body["jobs"] == []


@pytest.mark.parametrize(
    ("used", "status"), [(80, "healthy"), (86, "warning"), (96, "critical")], ids=["room", "little", "none"]
)
def test_a_full_disk_is_seen(core: Core, monkeypatch: pytest.MonkeyPatch, used: int, status: str) -> None:
    core.install_code({"L1-1": "Une lampe."})
    monkeypatch.setattr(system_status, "disk_room", lambda _: Room(100, used, 100 - used))
    monkeypatch.setattr(system_status, "memory_room", lambda: Room(100, 10, 90))
    body = Administrator(core).get("system-status").get_json()
    assert (body["status"], body["reasons"]) == (status, [] if used == 80 else [f"The disk is {used} % full."])


def test_a_component_that_is_down_is_critical_and_a_missing_code_a_warning(core: Core) -> None:
    administrator = Administrator(core)
    body = administrator.get("system-status").get_json()
    assert any(reason.startswith("knowledge:") for reason in body["reasons"])
    core.parts.model.unload("scripted")
    body = administrator.get("system-status").get_json()
    assert body["status"] == "critical"
    assert body["model_status"] == {"loaded_model": None, "model_memory_usage": 0}


def test_log_lines_are_shown_page_by_page(core: Core) -> None:
    administrator = Administrator(core)
    lines = [
        {"time": f"{TODAY}T10:00:0{at}.000000+00:00", "message": f"line {at}", "request_id": f"r{at % 2}"}
        for at in range(5)
    ]
    log_file(core, 0, "info", "".join(json.dumps(line) + "\n" for line in lines[:4]))
    log_file(core, 0, "error", json.dumps(lines[4]) + "\n")
    first = administrator.get("logs", limit=3).get_json()
    second = administrator.get("logs", limit=3, before=first["next"]).get_json()
    assert [line["message"] for line in first["lines"] + second["lines"]] == [f"line {at}" for at in (4, 3, 2, 1, 0)]
    assert second["next"] is None
    assert len(administrator.get("logs", level="error").get_json()["lines"]) == 1
    assert len(administrator.get("logs", request_id="r0").get_json()["lines"]) == 3
    assert administrator.get("logs", day=date(2020, 1, 1).isoformat()).get_json()["lines"] == []
    for name, value in (("level", "loud"), ("day", "../.."), ("limit", 0), ("limit", 10**9), ("request_id", "a b")):
        assert administrator.get("logs", **{name: value}).status_code == 422
