"""Exported figures by day become days of usage, beside ours."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from ai_core.storage import UsageDay, utc_now
from common.legacy.exports import Row, read_export
from common.legacy.fields import BadField, moment, text, whole
from common.legacy.report import ImportReport

KIND = "statistics"
EARLIER_SYSTEM = -1
"""Stands for all keys of the earlier system in UsageDay."""


def import_statistics(path: Path, report: ImportReport, *, apply: bool) -> None:
    """Take over the days of an export. Raises OSError, NotAnExport."""
    for row in read_export(path, KIND):
        try:
            day, values = _values(row)
        except BadField as problem:
            report.reject(KIND, path.name, row.number, str(problem), row.fields)
            continue
        known = UsageDay.select().where((UsageDay.day == day) & (UsageDay.key_id == EARLIER_SYSTEM)).exists()
        if apply and not known:
            UsageDay.insert(day=day, key_id=EARLIER_SYSTEM, **values).on_conflict_ignore().execute()
        report.count(KIND, "here already" if known else "taken")


def _values(row: Row) -> tuple[date, dict[str, float]]:
    if row.problem is not None:
        raise BadField(row.problem)
    fields = row.fields
    found = moment(fields, "day", "date", "timestamp")
    if found is None:
        raise BadField("day is missing")
    if found.date() >= utc_now().date() - timedelta(days=1):
        raise BadField("day is not over: today and yesterday are still being summed up")
    requests = whole(fields, "requests", "total_requests", "messages", "total_messages", "count")
    if requests is None:
        raise BadField("requests is missing")
    seconds = text(fields, "seconds", "processing_time", "total_time")
    try:
        total = float(seconds or 0)
    except ValueError:
        raise BadField("seconds is no number") from None
    if not 0 <= total < 1e12:
        raise BadField("seconds is no number of 0 or more")
    return found.date(), {
        "requests": requests,
        "errors": whole(fields, "errors", "failed") or 0,
        "cached": whole(fields, "cached") or 0,
        "prompt_tokens": whole(fields, "prompt_tokens") or 0,
        "completion_tokens": whole(fields, "completion_tokens", "tokens", "tokens_used") or 0,
        "seconds": total,
    }
