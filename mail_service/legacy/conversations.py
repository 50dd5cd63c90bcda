"""Exported conversations by mail: one row for a question and its answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

from common.legacy.exports import Row, read_export
from common.legacy.fields import BadField, moment, text
from common.legacy.report import ImportReport
from common.legacy.texts import repaired
from mail_service.addresses import normalised
from mail_service.legacy.history import History, OldMail
from mail_service.legacy.mailbox import MAX_TEXT
from mail_service.people import identity_of

KIND = "conversations"


def import_conversations(path: Path, history: History, report: ImportReport) -> None:
    """Remember the rows of an export. Raises OSError, NotAnExport."""
    for row in read_export(path, KIND):
        if (text(row.fields, "channel", "platform", "source") or "mail").lower() not in ("mail", "email", "e-mail"):
            report.count(KIND, "of others")
            continue
        try:
            mail = _old_mail(row)
        except BadField as problem:
            report.reject(KIND, path.name, row.number, str(problem), row.fields)
            continue
        report.count(KIND, "taken" if history.remember(mail) else "here already")


def _old_mail(row: Row) -> OldMail:
    if row.problem is not None:
        raise BadField(row.problem)
    fields = row.fields
    sender = normalised(text(fields, "email", "sender", "from", "address", "user_email") or "")
    if sender is None:
        raise BadField("email is no mail address")
    at = moment(fields, "created_at", "date", "timestamp", "received_at")
    if at is None:
        raise BadField("created_at is missing")
    question = text(fields, "question", "message", "prompt", "body", "text")
    if question is None:
        raise BadField("question is missing")
    subject = repaired(text(fields, "subject", "title") or "")
    message_id = text(fields, "message_id", "message-id")
    content = f"export {at.isoformat()} {sender} {subject} {question}".encode("utf-8", "surrogatepass")
    return OldMail(
        identity=identity_of(message_id, sender, content) if message_id else hashlib.sha256(content).hexdigest(),
        sender=sender,
        subject=subject,
        received_at=at,
        question=question[:MAX_TEXT],
        answer=(text(fields, "answer", "response", "reply", "ai_response") or "")[:MAX_TEXT] or None,
        message_id=message_id or "",
        references=(message_id,) if message_id else (),
        thread=hashlib.sha256(thread.encode()).hexdigest()[:16]
        if (thread := text(fields, "thread_id", "thread", "conversation_id"))
        else None,
    )
