"""Figures that grow: kept in the database, because several processes add to them and restarts must not lose them."""

from __future__ import annotations

from collections.abc import Mapping

from mail_service.storage import Counter

ANSWER_BUCKETS = (5, 15, 30, 60, 120, 300, 900, 3_600, 21_600, 86_400)  # seconds from arrival to answer


def count(name: str, label: str = "", by: float = 1.0) -> None:
    """Add `by` to a figure."""
    Counter.insert(name=name, label=label, value=by).on_conflict(
        conflict_target=(Counter.name, Counter.label), update={Counter.value: Counter.value + by}
    ).execute()


def count_duration(name: str, seconds: float) -> None:
    """Add one duration to the histogram `name`."""
    bucket = next((str(bound) for bound in ANSWER_BUCKETS if seconds <= bound), "+Inf")
    count(f"{name}_bucket", bucket)
    count(f"{name}_sum", by=seconds)


def figures(name: str) -> Mapping[str, float]:
    """The figure `name` by label."""
    return {row.label: row.value for row in Counter.select().where(Counter.name == name)}
