"""How an update comes into the queue, by webhook or by polling: a stop takes effect at once, and is queued like the
rest, so that it gets its reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telegram_service.mailbox import Mailbox
from telegram_service.updates import lane_of, sender_of, stops, update_id


class Intake:
    """The way in."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def take(self, update: Mapping[str, Any]) -> bool:
        """Take an update in; False when it was here before. Raises NotAnUpdate, and RedisAway: then it has to come
        again."""
        number = update_id(update)
        if stops(update):
            self._mailbox.stop(lane_of(update), sender_of(update) or 0, number)
        return self._mailbox.put(update)
