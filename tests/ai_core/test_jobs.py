"""The regular jobs: what each does, and that a failure harms nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ai_core import audit
from ai_core.jobs import keep_within_retention, purge_logs, update_knowledge
from ai_core.knowledge.errors import KnowledgeError
from ai_core.storage import AuditEntry, KnowledgeRevision, RequestUsage, UsageDay, utc_now
from ai_core.usage import Usage
from common.database import connection
from tests.fakes import Core, build_core


def test_old_logs_are_purged_whatever_their_number(core: Core) -> None:
    directory = core.settings.data_dir / "logs"
    directory.mkdir()
    today = datetime.now(timezone.utc).date()
    for days in (0, 30, 31):
        (directory / f"ai_core.info.{(today - timedelta(days=days)).isoformat()}.log").write_text("x")
    purge_logs(core.settings)
    assert len(list(directory.iterdir())) == 2


def test_retention_deletes_what_is_too_old_and_keeps_the_sums(core: Core) -> None:
    database, operations = core.parts.database, core.parts.operations
    operations.usage.put(Usage("webapp", at=utc_now() - timedelta(days=91)))
    operations.usage.put(Usage("webapp"))
    assert operations.usage.flush(20)
    with connection(database):
        audit.note("a", "keys.create", "old")
        AuditEntry.update(at=utc_now() - timedelta(days=366)).execute()
    for _ in range(2):
        keep_within_retention(core.settings, database, operations.webhooks)
    with connection(database):
        assert RequestUsage.select().count() == 1
        assert UsageDay.select().count() == 2
        assert AuditEntry.select().count() == 0


def test_a_failed_update_leaves_the_code_as_it_was(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"not a package")
    core = build_core(tmp_path / "data", KNOWLEDGE_FILE=str(broken))
    core.install_code({"L1-1": "Une lampe."})
    with pytest.raises(KnowledgeError):
        update_knowledge(core.settings, core.parts.database)
    with connection(core.parts.database):
        assert KnowledgeRevision.select().where(KnowledgeRevision.active == True).count() == 1  # noqa: E712 - SQL
    base = core.parts.knowledge.get()
    assert base is not None
    assert base.article("L1-1") is not None
    core.parts.model.stop()


@pytest.mark.parametrize(
    ("variables", "there"),
    [
        ({}, {"knowledge update"}),
        ({"KNOWLEDGE_UPDATE_AT": "off"}, set()),
        ({"KNOWLEDGE_UPDATE_AT": "off", "MODEL_IDLE_UNLOAD_MINUTES": "30"}, {"idle unload"}),
    ],
)
def test_the_settings_say_which_jobs_there_are(tmp_path: Path, variables: dict[str, str], there: set[str]) -> None:
    core = build_core(tmp_path, started=False, **variables)  # type: ignore[arg-type] # settings, by their names
    found = {name for name in core.parts.operations.jobs.jobs if not name.startswith("log purge")}
    assert found == {"quota roll-up", "retention"} | there


def test_webhooks_bring_their_jobs(tmp_path: Path) -> None:
    core = build_core(tmp_path, started=False, WEBHOOK_URLS="http://127.0.0.1:9/a", WEBHOOK_KEY="k")
    jobs = core.parts.operations.jobs.jobs
    assert "webhooks" in jobs
    assert any(name.startswith("component watch") for name in jobs)
