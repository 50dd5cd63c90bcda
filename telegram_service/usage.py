"""What became of questions, without their texts: for statistics, figures and the quality of answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import peewee
from peewee import fn

from common.database import connection
from telegram_service.storage import Usage
from telegram_service.tables import utc_now

ANSWERED, STOPPED = "answered", "stopped"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """`questions` in all and `today` (24 hours); `failed` got no answer; `seconds` an answer takes on average."""

    questions: int
    today: int
    failed: int
    seconds: float
    good: int
    bad: int
    models: Mapping[str, int]


class UsageBook:
    """For any thread. Raises peewee's errors."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database

    def note(
        self, update_id: int, person: str, outcome: str, *, model: str = "", seconds: float = 0.0, tokens: int = 0
    ) -> None:
        """Keep what became of a question, once however often it is told."""
        with connection(self._database):
            Usage.insert(
                update_id=update_id, person=person, outcome=outcome, model=model, seconds=seconds, tokens=tokens
            ).on_conflict_ignore().execute()

    def rate(self, update_id: int, people: list[str], rating: int) -> bool:
        """Keep what one of `people` thinks of an answer of theirs; False where there is none."""
        with connection(self._database):
            mine = (Usage.update_id == update_id) & Usage.person.in_(people)
            return bool(Usage.update(rating=rating).where(mine).execute())

    def figures(self) -> Figures:
        """Sums over everything that is kept."""
        with connection(self._database):
            answered = Usage.outcome.in_([ANSWERED, STOPPED])
            models: Any = Usage.select(Usage.model, fn.COUNT(Usage.id)).where(answered).group_by(Usage.model).tuples()
            return Figures(
                questions=Usage.select().count(),
                today=Usage.select().where(Usage.at > utc_now() - DAY).count(),
                failed=Usage.select().where(~answered).count(),
                seconds=float(Usage.select(fn.AVG(Usage.seconds)).where(Usage.outcome == ANSWERED).scalar() or 0),
                good=Usage.select().where(Usage.rating == 1).count(),
                bad=Usage.select().where(Usage.rating == -1).count(),
                models=dict(models),
            )
