"""The earlier bot's log: who wrote when, how their message began, how long the answer took. No answer is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from common.legacy.log_lines import LogRecord, read_log
from common.legacy.report import ImportReport
from telegram_service.legacy.past import MAX_ID, OldTurn, Past

KIND = "log records"
LOGGERS = ("telegram_bot", "__main__")
CUT_AT = 100  # characters of a text that the log held
CUT_MARK = " […]"
_RECEIVED = re.compile(r"Received message from (?P<name>.*?) \((?P<user>-?\d+)\): (?P<text>.*)", re.DOTALL)
_ANSWERED = re.compile(r"Generated response in (?P<seconds>\d+(?:\.\d+)?)s for user (?P<name>.*)", re.DOTALL)


def import_log(path: Path, zone: ZoneInfo, past: Past, report: ImportReport) -> None:
    """Remember what the log at `path`, written in `zone`, tells of. Raises OSError."""
    remember_records(read_log(path), path.name, zone, past, report)


def remember_records(
    records: Iterable[LogRecord], source: str, zone: ZoneInfo, past: Past, report: ImportReport
) -> None:
    """Remember what `records` tell of. People's names only join a question to its answer, and are not kept."""
    waiting: dict[str, OldTurn] = {}
    for record in records:
        if record.logger not in LOGGERS:
            report.count(KIND, "of others")
            continue
        received, answered = _RECEIVED.fullmatch(record.message), _ANSWERED.fullmatch(record.message)
        if received:
            name, user = received["name"], int(received["user"])
            if not 0 < user <= MAX_ID:
                report.reject(KIND, source, record.line, "names no person")
                continue
            if name in waiting:
                _keep(waiting.pop(name), past, report)
            waiting[name] = OldTurn(user, _utc(record.at, zone), _text(received["text"]))
        elif answered and answered["name"] in waiting:
            _keep(replace(waiting.pop(answered["name"]), seconds=float(answered["seconds"])), past, report)
            report.count(KIND, "told of an answer")
        elif answered:
            report.reject(KIND, source, record.line, "tells of an answer to a message that the log does not have")
        else:
            report.count(KIND, "not about a message")
    for turn in waiting.values():
        _keep(turn, past, report)


def _keep(turn: OldTurn, past: Past, report: ImportReport) -> None:
    report.count(KIND, "taken" if past.remember(turn) else "here already")


def _text(logged: str) -> str:
    text = logged.removesuffix("...")
    return text + CUT_MARK if len(text) >= CUT_AT else text


def _utc(at: datetime, zone: ZoneInfo) -> datetime:
    return at.replace(tzinfo=zone).astimezone(timezone.utc).replace(tzinfo=None)
