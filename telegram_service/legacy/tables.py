"""Exported tables: users, conversations, settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.legacy.exports import Row, read_export
from common.legacy.fields import BadField, moment, text, whole, yes
from common.legacy.report import ImportReport
from telegram_service.legacy.past import MAX_ID, OldTurn, Past, chosen_from

USERS, CONVERSATIONS, SETTINGS = "users", "conversations", "settings"


def import_table(path: Path, table: str, past: Past, report: ImportReport) -> None:
    """Take over the rows of an export. Raises OSError, NotAnExport."""
    take = _TAKERS[table]
    for row in read_export(path, table):
        if (text(row.fields, "channel", "platform", "source") or "telegram").lower() != "telegram":
            report.count(table, "of others")
            continue
        try:
            if row.problem is not None:
                raise BadField(row.problem)
            taken = take(row, past)
        except BadField as problem:
            report.reject(table, path.name, row.number, str(problem), row.fields)
        else:
            report.count(table, "taken" if taken else "here already")


def _user(row: Row, past: Past) -> bool:
    fields = row.fields
    return past.meet(
        _id(row, "id", "user_id", "telegram_id", "chat_id"),
        first_seen=moment(fields, "first_seen", "created_at", "joined_at"),
        last_seen=moment(fields, "last_seen", "last_active", "updated_at"),
        messages=whole(fields, "messages", "message_count", "total_messages") or 0,
        blocked=yes(fields, "blocked", "is_blocked", "banned", default=False),
    )


def _conversation(row: Row, past: Past) -> bool:
    fields = row.fields
    at = moment(fields, "created_at", "timestamp", "date")
    question = text(fields, "question", "message", "prompt", "text")
    if at is None:
        raise BadField("created_at is missing")
    if question is None:
        raise BadField("question is missing")
    return past.remember(
        OldTurn(
            _id(row, "user_id", "telegram_id", "chat_id"), at, question, text(fields, "answer", "response", "reply")
        )
    )


def _settings(row: Row, past: Past) -> bool:
    user, chosen = _id(row, "user_id", "telegram_id", "chat_id", "id"), chosen_from(row.fields)
    if not chosen:
        raise BadField("none of language, length, model, temperature is one that we have")
    return past.choose(user, chosen)


def _id(row: Row, *names: str) -> int:
    user = whole(row.fields, *names, minimum=1, maximum=MAX_ID)
    if user is None:
        raise BadField(f"{names[0]} is missing")
    return user


_TAKERS: dict[str, Callable[[Row, Past], bool]] = {USERS: _user, CONVERSATIONS: _conversation, SETTINGS: _settings}
