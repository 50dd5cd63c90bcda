"""Takes updates by long polling, where Telegram cannot reach a webhook (https://core.telegram.org/bots/api#getupdates).

What was put into the queue is confirmed by the next call, so that an update is lost nowhere: one that comes again is
known to the queue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from common.redis_store import RedisAway
from telegram_service.intake import Intake
from telegram_service.telegram_errors import Flooded, TelegramAway, TelegramError
from telegram_service.updates import NotAnUpdate, update_id

logger = logging.getLogger(__name__)

POLL_SECONDS = 20
PAUSE = 2.0  # seconds after what went wrong
LONG_PAUSE = 15.0  # seconds when somebody else polls, or a webhook was set


class UpdateSource(Protocol):
    """The part of the Bot API that polling needs."""

    def updates(self, offset: int, *, wait: int) -> Sequence[Mapping[str, Any]]:
        """Updates from `offset` on, which confirms those before; up to `wait` seconds for the first one. Raises
        TelegramError."""

    def delete_webhook(self) -> None:
        """Let updates be polled; those that wait are kept. Raises TelegramError."""


class Poller:
    """One may run at a time: Telegram refuses a second one (409)."""

    def __init__(self, source: UpdateSource, intake: Intake) -> None:
        self._source = source
        self._intake = intake
        self._offset = 0
        self._may_poll = False

    def run(self, stopping: threading.Event, note: Callable[[], None]) -> None:
        """Poll until `stopping`; `note` is called each time round."""
        while not stopping.is_set():
            note()
            stopping.wait(self.turn())

    def turn(self) -> float:
        """Poll once; returns how many seconds to wait before the next time."""
        try:
            if not self._may_poll:
                self._source.delete_webhook()
                self._may_poll = True
            self.poll()
        except RedisAway as away:
            logger.warning("updates not taken", extra={"reason": away.reason})
            return PAUSE
        except Flooded as flooded:
            return min(LONG_PAUSE, flooded.retry_after)
        except TelegramAway as away:
            logger.warning("updates not polled", extra={"reason": away.reason})
            return min(LONG_PAUSE, max(PAUSE, away.retry_after or 0.0))
        except TelegramError as error:
            # Another poller, or a webhook that was set meanwhile: whoever did it knows, and may have ended by then.
            logger.error("updates not polled", extra={"reason": str(error)})
            return LONG_PAUSE
        return 0.0

    def poll(self) -> int:
        """Take what there is; returns how many updates. Raises TelegramError, RedisAway."""
        updates = self._source.updates(self._offset, wait=POLL_SECONDS)
        for update in updates:
            try:
                self._intake.take(update)
                self._offset = update_id(update) + 1
            except NotAnUpdate:
                logger.error("not an update")
        return len(updates)
