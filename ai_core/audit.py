"""The audit log: who did what to what, when, from where, and how it ended. Never a key, never a person's text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import peewee

from ai_core.storage import AuditEntry, utc_now
from common.database import connection

logger = logging.getLogger(__name__)

STARTED = "started"
DONE = "done"


def begin(actor: str, action: str, target: str, address: str) -> int:
    """Note that an action begins; one that stays `started` was cut short. Returns the entry's id."""
    entry = AuditEntry.create(
        actor=actor[:120], action=action[:60], target=_writable(target), address=address[:45], outcome=STARTED
    )
    return int(entry.id)


def end(entry_id: int, outcome: str, target: str | None = None) -> None:
    """Note how an action ended, and what it turned out to concern."""
    changes = {"outcome": outcome[:40]} | ({} if target is None else {"target": _writable(target)})
    AuditEntry.update(**changes).where(AuditEntry.id == entry_id).execute()


def note(actor: str, action: str, target: str, outcome: str = DONE, address: str = "") -> None:
    """Note an action that is over."""
    end(begin(actor, action, target, address), outcome)


def _writable(target: str) -> str:
    """A name that somebody sent, as one line that every database takes: no NUL, no lone surrogate, no line end."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in target[:200])


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; times are UTC without a zone."""

    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def find(wanted: Filter, *, limit: int, before: int | None = None) -> list[AuditEntry]:
    """The newest entries first; `before` is the id of the last one that was seen."""
    query = AuditEntry.select().order_by(AuditEntry.id.desc()).limit(limit)
    if wanted.actor is not None:
        query = query.where(AuditEntry.actor == wanted.actor)
    if wanted.action is not None:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.since is not None:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.at < wanted.until)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(query)


def forget_before(database: peewee.Database, days: int) -> int:
    """Delete the entries that are more than `days` days old; returns how many."""
    with connection(database):
        return int(AuditEntry.delete().where(AuditEntry.at < utc_now() - timedelta(days=days)).execute())
