"""The earlier mail robot's log: when who wrote about what, and whether an answer went out. Texts are not in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from common.legacy.log_lines import LogRecord, read_log
from common.legacy.report import ImportReport
from common.legacy.texts import repaired
from mail_service.addresses import addresses_in
from mail_service.header_text import decoded_header
from mail_service.legacy.history import History, OldMail

KIND = "log records"
LOGGERS = ("mailserver_email_bot", "__main__")
_RECEIVED = re.compile(r"Processing email from (?P<sender>.*?>|[^:]*): ?(?P<subject>.*)", re.DOTALL)
_ANSWERED = re.compile(r"Successfully processed and responded to email from (?P<sender>.*)", re.DOTALL)


def import_log(path: Path, zone: ZoneInfo, history: History, report: ImportReport) -> None:
    """Remember the mails that the log at `path`, written in `zone`, tells of. Raises OSError."""
    remember_records(read_log(path), path.name, zone, history, report)


def remember_records(
    records: Iterable[LogRecord], source: str, zone: ZoneInfo, history: History, report: ImportReport
) -> None:
    """Remember the mails that `records` tell of."""
    waiting: dict[str, OldMail] = {}  # whose answer the log has not told yet
    for record in records:
        if record.logger not in LOGGERS:
            report.count(KIND, "of others")
            continue
        received, answered = _RECEIVED.fullmatch(record.message), _ANSWERED.fullmatch(record.message)
        found = received or answered
        if found is None:
            report.count(KIND, "not about a mail")
            continue
        sender = _address(found["sender"])
        if sender is None:
            report.reject(KIND, source, record.line, "names no sender")
            continue
        if received:
            if sender in waiting:
                _keep(waiting.pop(sender), history, report)
            waiting[sender] = _old_mail(record, sender, received["subject"], zone)
        elif sender in waiting:
            _keep(replace(waiting.pop(sender), answered=True), history, report)
            report.count(KIND, "told of an answer")
        else:
            report.reject(KIND, source, record.line, "tells of an answer to a mail that the log does not have")
    for mail in waiting.values():
        _keep(mail, history, report)


def _keep(mail: OldMail, history: History, report: ImportReport) -> None:
    taken = not history.knows_like(mail) and history.remember(mail)
    report.count(KIND, "taken" if taken else "here already")


def _old_mail(record: LogRecord, sender: str, subject: str, zone: ZoneInfo) -> OldMail:
    subject = decoded_header(repaired(subject)).strip()
    identity = hashlib.sha256(f"log {record.at.isoformat()} {sender} {subject}".encode("utf-8", "surrogatepass"))
    return OldMail(identity.hexdigest(), sender, subject, _utc(record.at, zone))


def _address(text: str) -> str | None:
    found = addresses_in([repaired(text)])
    return found[0].address if len(found) == 1 else None


def _utc(at: datetime, zone: ZoneInfo) -> datetime:
    return at.replace(tzinfo=zone).astimezone(timezone.utc).replace(tzinfo=None)
