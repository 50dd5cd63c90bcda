"""The parts of the AI core that readiness looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import peewee

from ai_core.knowledge.current import CurrentKnowledge
from ai_core.model_host import ModelHost
from ai_core.model_state import ModelStatus
from common.database import connection
from common.health import Check, Status
from common.redis_store import RedisStore


def component_checks(
    model: ModelHost, knowledge: CurrentKnowledge, database: peewee.Database, *, stall_seconds: float
) -> Mapping[str, Callable[[], Check]]:
    """The checks by name. An engine without a step for `stall_seconds` while it has work is down."""
    return {
        "model": lambda: check_model(model),
        "engine": lambda: check_engine(model, stall_seconds),
        "knowledge": lambda: check_knowledge(knowledge),
        "database": lambda: check_database(database),
    }


def check_model(host: ModelHost) -> Check:
    """Which model serves, is being loaded, or could not be."""
    serving, coming = host.current_or_none(), _operation(host)
    failed = [model_id for model_id, state in host.states.all().items() if state.error is not None]
    if serving is not None:
        if coming is not None:
            return Check(Status.OK, f"{serving.id} is loaded; {coming}.")
        others = f"; {', '.join(failed)} could not be loaded" if failed else ""
        return Check(Status.OK, f"{serving.id} is loaded{others}.")
    if coming is not None:
        return Check(Status.DOWN, f"{coming}.")
    if failed:
        return Check(Status.DOWN, f"{', '.join(failed)} could not be loaded; the log says why.")
    return Check(Status.DOWN, "No model is loaded.")


def _operation(host: ModelHost) -> str | None:
    model_id = host.operating_on
    if model_id is None:
        return None
    state = host.states.get(model_id)
    if state.status is not ModelStatus.LOADING:
        return f"{model_id} is being unloaded"
    return f"{model_id} is being loaded" + (f" ({state.step})" if state.step else "")


def check_engine(host: ModelHost, stall_seconds: float) -> Check:
    """Whether the engine takes steps."""
    model = host.current_or_none()
    if model is None:
        return Check(Status.DOWN, "Waits for a model.")
    if model.engine.is_stalled(stall_seconds):
        return Check(Status.DOWN, f"No step for {stall_seconds:g} s while requests wait.")
    stats = model.engine.stats()
    return Check(Status.OK, f"{stats.slots_busy} of {stats.slots_total} slots busy, {stats.waiting} waiting.")


def check_knowledge(knowledge: CurrentKnowledge) -> Check:
    """Whether answers can be grounded."""
    base = knowledge.get()
    if base is None:
        return Check(Status.DEGRADED, "The Code du travail is not installed: answers are not grounded.")
    parts = [f"{len(base)} articles, revision {base.revision}"]
    if base.sheets is not None:
        parts.append(f"{len(base.sheets)} practical sheets, revision {base.sheets.revision}")
    if (done := knowledge.vectors_done()) is not None:
        parts.append(f"vectors of {done} articles")
    return Check(Status.OK, f"{'; '.join(parts)}.")


def check_database(database: peewee.Database) -> Check:
    """Whether the database answers."""
    with connection(database):
        database.execute_sql("SELECT 1")
    return Check(Status.OK, "Answers.")


def check_redis(store: RedisStore) -> Check:
    """Whether limits and answers are shared with the other processes."""
    if store.is_up():
        return Check(Status.OK, "Answers.")
    return Check(Status.DEGRADED, "Redis does not answer: this process counts and keeps answers for itself.")
