"""GET /admin/usage: what was used, in sums by day or hour."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, time, timedelta
from typing import Any

from ai_core.api.access import SECURITY, requires
from ai_core.api.admin_schemas import UsageQuerySchema, UsageSchema
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.storage import utc_now
from ai_core.usage_sums import DAYS_AT_MOST, HOURS_AT_MOST, Sums, by_day, by_hour

USUAL_SPAN = {"day": timedelta(days=30), "hour": timedelta(hours=24)}
LONGEST_SPAN = {"day": timedelta(days=DAYS_AT_MOST), "hour": timedelta(hours=HOURS_AT_MOST)}


def usage_blueprint() -> Blueprint:
    """The route; nobody is named in a sum but keys."""
    blueprint = Blueprint("usage", __name__, url_prefix="/api/v1/admin/usage", description="What was used")

    @blueprint.route("", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED, 422)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(UsageQuerySchema, location="query")
    @blueprint.response(200, UsageSchema)
    def usage(query: dict[str, Any]) -> dict[str, Any]:
        """Requests, tokens and seconds by day or hour, of one key or of all

        Days are kept for good, hours as long as single requests are (USAGE_RETENTION_DAYS). Of a longer span than three
        years of days, or two weeks of hours, the end is shown: `since` in the answer says from when.
        """
        step = query["step"]
        first, last = _span(step, query.get("since"), query.get("until"))
        points = _points(step, first, last, query.get("key_id"))
        return {
            "step": step,
            "since": first,
            "until": last,
            "points": [{"start": start, **asdict(sums)} for start, sums in sorted(points.items())],
            "totals": asdict(sum(points.values(), Sums())),
        }

    return blueprint


def _span(step: str, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    last = until or utc_now()
    first = since or _before(last, USUAL_SPAN[step])
    return max(first, _before(last, LONGEST_SPAN[step])), last


def _before(moment: datetime, span: timedelta) -> datetime:
    """Not before the beginning of time, which a client may ask for."""
    return max(moment, datetime.min + span) - span


def _points(step: str, first: datetime, last: datetime, key_id: int | None) -> dict[datetime, Sums]:
    if step == "hour":
        return by_hour(first, last, key_id)
    return {datetime.combine(day, time()): sums for day, sums in by_day(first.date(), last.date(), key_id).items()}
