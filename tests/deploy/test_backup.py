"""The plan that the role writes is the plan that the program reads; the unit lets it write where the plan says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common.backup.plan import Plan, RedisPlan
from tests.deploy.unit_file import UNITS, UnitFile

ROLE = UNITS.parent / "ansible" / "roles" / "backup"
RECIPIENT = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"


def role_values() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("defaults", "vars"):
        values |= yaml.safe_load((ROLE / name / "main.yml").read_text(encoding="utf-8"))
    return values


def rendered(template: str, **values: object) -> str:
    """As Ansible would, with the two filters of its that are used."""
    environment = Environment(  # noqa: S701 - files of a host, not pages
        loader=FileSystemLoader(ROLE / "templates"), undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["to_nice_json"] = json.dumps
    environment.filters["bool"] = bool
    environment.filters["urlsplit"] = lambda url, part: getattr(urlsplit(url), part)
    return environment.get_template(template).render({**role_values(), "ansible_managed": "by hand", **values})


def plan_of(tmp_path: Path, **values: object) -> Plan:
    file = tmp_path / "backup.json"
    told = {
        "inventory_hostname": "mail-host",
        "backup_recipients": [RECIPIENT],
        "backup_key": f"{'n' * 40} {'o' * 40}",
        "backup_database_urls": {"ai_core": "", "mail_service": "postgresql:///mail_service?host=/run/postgresql"},
        "backup_redis_urls": ["redis://:geheim-geheim-0123@127.0.0.1:6380/2"],
        **values,
    }
    file.write_text(rendered("backup.json.j2", **told), encoding="utf-8")
    return Plan.read(file)


def test_the_program_reads_what_the_role_writes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert (plan.host, plan.keys, plan.keep_days) == ("mail-host", ("n" * 40, "o" * 40), 30)
    assert [(database.service, database.url, database.user) for database in plan.databases] == [
        ("ai_core", "sqlite:////var/lib/code-du-travail/ai_core/ai_core.sqlite3", "ai-core"),
        ("mail_service", "postgresql:///mail_service?host=/run/postgresql", "mail-assistant"),
    ]
    assert plan.redis == RedisPlan("127.0.0.1", 6380, "geheim-geheim-0123", Path("/var/lib/redis"), "redis")
    assert Path("/etc/letsencrypt") in plan.paths


def test_a_host_without_redis_has_none_in_its_plan(tmp_path: Path) -> None:
    assert plan_of(tmp_path, backup_redis_urls=[]).redis is None


def test_the_unit_may_write_where_the_plan_says(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    writable = [
        Path(path.lstrip("-"))
        for path in UnitFile.read(UNITS / "code-du-travail-backup.service").one("ReadWritePaths").split()
    ]
    wanted = [plan.folder, Path("/var/lib/code-du-travail"), plan.metrics and plan.metrics.parent]
    assert all(path in writable for path in wanted)


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("", ""),
        ("vault@far.example:/srv", "IPAddressDeny="),
        ("rclone:far:cdt", "IPAddressDeny="),
        ("/mnt/disk", "ReadWritePaths=/mnt/disk"),
    ],
)
def test_the_unit_reaches_a_target_only_where_there_is_one(target: str, line: str) -> None:
    written = rendered("target.conf.j2", backup_target=target, backup_target_is_remote=":" in target)
    assert [text for text in written.splitlines() if text and not text.startswith("#")] == [
        "[Service]",
        *filter(None, [line]),
    ]
