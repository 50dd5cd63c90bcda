"""The words between the queue and whoever handles updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """An update that a worker holds. `attempts` counts the times it was handed out, this one included, `deaths` the
    workers that died with it, `failures` the times that handling it failed; `waited` is seconds since it came in.
    `fence` proves the claim: whoever lost it can change nothing any more."""

    update_id: int
    lane: str
    update: Mapping[str, Any]
    attempts: int
    fence: int
    deaths: int = 0
    failures: int = 0
    waited: float = 0.0


class RetryLater(Exception):
    """Handling an update has to wait for `seconds`; `reason` is a short name for the log, without anybody's text. What
    was done so far must bear being done again."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason
