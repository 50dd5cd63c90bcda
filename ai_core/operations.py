"""What keeps the service in order beside the answers: usage, people, jobs, webhooks, cleaning up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import peewee

from ai_core.cleanup import Cleanup, Operation
from ai_core.idle_model import IdleModel
from ai_core.jobs import log_directory, regular_jobs
from ai_core.leftovers import remove_leftovers
from ai_core.model_host import ModelHost
from ai_core.model_state import ModelState, ModelStatus
from ai_core.people import Forget, People
from ai_core.settings import Settings
from ai_core.usage import UsageLog
from ai_core.webhooks import Webhooks
from common.crypto import secret_keys
from common.health import Check
from common.log_files import purgeable, remove
from common.retired_keys import RetiredKeys
from common.scheduler import Scheduler

SECRET_FILE = "secret_key"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class Operations:
    """The parts, and the checks that readiness, metrics and webhooks share."""

    usage: UsageLog
    people: People
    webhooks: Webhooks
    idle: IdleModel
    cleanup: Cleanup
    checks: Mapping[str, Callable[[], Check]]
    jobs: Scheduler

    def start(self) -> None:
        """Begin to write usage and to run jobs; in the process that answers, after any fork."""
        self.usage.start()
        self.jobs.start()

    def stop(self) -> None:
        """End the jobs, then write down what is left."""
        self.jobs.stop()
        self.usage.stop()


def build_operations(
    settings: Settings,
    database: peewee.Database,
    host: ModelHost,
    checks: Mapping[str, Callable[[], Check]],
    *,
    forget: Mapping[str, Forget],
    clean: Mapping[str, Operation],
) -> Operations:
    """Put the parts together. `forget` are the parts beside the database that keep something of people, `clean` the
    operations of a cleanup beside those on logs and leftovers, both by name."""
    usage, secrets = UsageLog(database), secret_keys(settings.secret_key, settings.data_dir / SECRET_FILE)
    webhooks = Webhooks(database, settings.webhook_urls, settings.webhook_key or "")
    host.states.listen(lambda model_id, state: _tell_of_model(webhooks, model_id, state))
    idle = IdleModel(host, after_seconds=60 * settings.model_idle_unload_minutes)
    checks = {name: idle.checked(check) if name in ("model", "engine") else check for name, check in checks.items()}
    operations: dict[str, Operation] = {
        "clean_logs": lambda dry_run: _clean_logs(settings, dry_run),
        **clean,
        "clean_temp": lambda dry_run: remove_leftovers(settings.data_dir, dry_run),
    }
    return Operations(
        usage=usage,
        people=People(secrets, usage, forget, RetiredKeys(database, secrets)),
        webhooks=webhooks,
        idle=idle,
        cleanup=Cleanup(settings.data_dir, host, operations),
        checks=checks,
        jobs=regular_jobs(settings, database, idle=idle, webhooks=webhooks, checks=checks),
    )


def _clean_logs(settings: Settings, dry_run: bool) -> int:
    old = purgeable(log_directory(settings), older_than_days=settings.log_retention_days, keep_latest=0)
    return sum(file.size for file in old) if dry_run else remove(old)[1]


def _tell_of_model(webhooks: Webhooks, model_id: str, state: ModelState) -> None:
    if state.status is ModelStatus.LOADED and state.error is None:
        webhooks.emit("model.loaded", {"model_id": model_id})
    else:
        webhooks.emit("model.failed", {"model_id": model_id, "error": state.error})
