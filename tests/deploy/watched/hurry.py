"""The rules of production in a hurry: an hour is some seconds, so that a cause and its end can be watched. What is
compared stays as it is, but for durations that nobody wants to wait for."""

from __future__ import annotations

import re
from typing import Any

from tests.deploy.watched.monitoring import with_short_waits

WINDOW = re.compile(r"\[(\d+)([mh])\]")
# Seconds that people wait, a queue ages, a disk is looked ahead.
SHORTER = {
    "AnswersSlow": ("> 45", "> 2"),
    "FirstWordSlow": ("> 20", "> 1"),
    "RepliesSlow": ("> 120", "> 4"),
    "EngineStalled": ("> 60", "> 3"),
    "DiskFillsUp": ("86400", "60"),
}
OFFSETS = {"offset 1h": "offset 30s", "offset 3h": "offset 10s"}


def hurried() -> dict[str, Any]:
    """All of them, in Prometheus' form."""
    rules = with_short_waits()
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        expression = WINDOW.sub(_seconds, rule["expr"])
        for offset, short in OFFSETS.items():
            expression = expression.replace(offset, short)
        if rule["alert"] in SHORTER:
            long, short = SHORTER[rule["alert"]]
            assert long in expression, f"{rule['alert']} does not say {long!r} any more"
            expression = expression.replace(long, short)
        rule["expr"] = expression
    return rules


def _seconds(window: re.Match[str]) -> str:
    """Long ones stay longer than others: what fills a queue is slower than what empties it."""
    minutes = int(window[1]) * (60 if window[2] == "h" else 1)
    return "[30s]" if minutes >= 60 else "[20s]"
