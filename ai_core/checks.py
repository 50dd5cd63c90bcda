"""The parts of the AI core that readiness looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import peewee

from ai_core.knowledge.current import CurrentKnowledge
from ai_core.loaded_model import LoadedModel, ModelStatus
from common.database import connection
from common.health import Check, Status

STALLED_AFTER = 30.0  # seconds without a step while there is work


def component_checks(
    model: LoadedModel, knowledge: CurrentKnowledge, database: peewee.Database
) -> Mapping[str, Callable[[], Check]]:
    """The checks by name."""
    return {
        "model": lambda: _model(model),
        "engine": lambda: _engine(model),
        "knowledge": lambda: _knowledge(knowledge),
        "database": lambda: _database(database),
    }


def _model(model: LoadedModel) -> Check:
    if model.status is ModelStatus.LOADED:
        return Check(Status.OK, f"{model.model_id} is loaded.")
    if model.status is ModelStatus.LOADING:
        return Check(Status.DOWN, f"{model.model_id} is being loaded.")
    return Check(Status.DOWN, f"{model.model_id} could not be loaded; the log says why.")


def _engine(model: LoadedModel) -> Check:
    engine = model.engine_if_loaded()
    if engine is None:
        return Check(Status.DOWN, "Waits for the model.")
    if engine.is_stalled(STALLED_AFTER):
        return Check(Status.DOWN, f"No step for {STALLED_AFTER:.0f} s while requests wait.")
    stats = engine.stats()
    return Check(Status.OK, f"{stats.slots_busy} of {stats.slots_total} slots busy, {stats.waiting} waiting.")


def _knowledge(knowledge: CurrentKnowledge) -> Check:
    base = knowledge.get()
    if base is None:
        return Check(Status.DEGRADED, "The Code du travail is not installed: answers are not grounded.")
    return Check(Status.OK, f"{len(base)} articles, revision {base.revision}.")


def _database(database: peewee.Database) -> Check:
    with connection(database):
        database.execute_sql("SELECT 1")
    return Check(Status.OK, "Answers.")
