"""An answer that can be watched while it is written: a placeholder with a Stop button, edited now and then.

What is shown on the way may be late or missing; what counts is `finish`, which says the whole answer once whatever
happened to the edits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from telegram_service.claim import RetryLater
from telegram_service.formatting import Part, parts
from telegram_service.replies import PLACEHOLDER, Replies
from telegram_service.telegram_api import (
    Address,
    Flooded,
    Keyboard,
    MessageGone,
    TelegramApi,
    TelegramAway,
    TelegramRefused,
)
from telegram_service.typing_action import Typing

logger = logging.getLogger(__name__)

FIRST = 0.6  # seconds from the placeholder to the first words
PRIVATE = 1.2  # seconds between two edits; Telegram lets one a second through
GROUP = 5.0  # and 20 a minute in groups, of which some are left for the answer itself
SLOWEST = 30.0


class LiveReplies:
    """Opens them, with what they need."""

    def __init__(
        self, replies: Replies, api: TelegramApi, typing: Typing, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._replies = replies
        self._api = api
        self._typing = typing
        self._clock = clock

    @contextmanager
    def opened(
        self, update_id: int, to: Address, person: str, *, keyboard: Keyboard = (), placeholder: Part = PLACEHOLDER
    ) -> Iterator[LiveReply]:
        """The reply to an update, with its placeholder in the chat and "typing…" until the block ends. `keyboard`: the
        Stop button. Raises RetryLater, Blocked."""
        with self._typing.shown(to):
            message = self._replies.place(update_id, to, person, placeholder, keyboard=keyboard)
            yield LiveReply(update_id, to, person, keyboard, message, self._replies, self._api, self._clock)


class LiveReply:
    """For one thread: the one that reads the answer as it is written. Its methods raise Blocked."""

    def __init__(
        self,
        update_id: int,
        to: Address,
        person: str,
        keyboard: Keyboard,
        message: int,
        replies: Replies,
        api: TelegramApi,
        clock: Callable[[], float],
    ) -> None:
        self.text = ""
        self._update_id = update_id
        self._to = to
        self._person = person
        self._keyboard = keyboard
        self._messages = [message]
        self._replies = replies
        self._api = api
        self._clock = clock
        self._interval = GROUP if to.chat < 0 else PRIVATE
        self._next = clock() + FIRST
        self._note: Part | None = None
        self._shown: Part | None = None
        self._is_watched = True
        self._is_spoilt = False  # a sketch of ours came after another worker's answer

    def add(self, text: str) -> None:
        """More of the answer, in Markdown."""
        self.text += text
        self.tick()

    def note(self, part: Part) -> None:
        """What is being done, shown as long as there is no answer."""
        self._note = part
        self.tick()

    def tick(self) -> None:
        """Show what is new where it is time. Waits for nothing long; call it whenever there is nothing else to do."""
        if not self._is_watched or self._clock() < self._next:
            return
        found = parts(self.text) or ([self._note] if self._note else [])
        if not found or (found[-1] == self._shown and len(found) == len(self._messages)):
            return
        self._next = self._clock() + self._interval
        if not self._replies.is_open(self._update_id):
            self._is_watched = False  # another worker has said it: our lease ran out
            return
        self._sketch(found)
        if not self._replies.is_open(self._update_id):  # it said it just now, and our sketch stands where it was
            self._is_watched, self._is_spoilt = False, True

    def finish(self, found: Sequence[Part], *, keyboard: Keyboard = ()) -> None:
        """Say the answer, once and for all; `keyboard` goes below its end. Raises RetryLater, after which
        Replies.resume says it."""
        self._replies.prepare(self._update_id, self._person, found, keyboard=keyboard)
        self._replies.deliver(self._update_id, self._to)
        self.mend(found, keyboard=keyboard)

    def mend(self, found: Sequence[Part], *, keyboard: Keyboard = ()) -> None:
        """Where a sketch of ours took the place of another worker's answer: say `found`, our own, instead of it."""
        if not self._is_spoilt:
            return
        try:
            for message, part in zip(self._messages, found, strict=False):
                below = keyboard if part is found[-1] else ()
                self._api.edit(self._to.chat, message, part, keyboard=below)
        except (Flooded, TelegramAway, MessageGone, TelegramRefused) as error:
            logger.error("a sketch stays in the place of an answer", extra={"reason": type(error).__name__})

    def _sketch(self, found: Sequence[Part]) -> None:
        try:
            while len(found) > len(self._messages):
                self._edit(found[len(self._messages) - 1], ())
                self._begin_message()
            self._edit(found[len(self._messages) - 1], self._keyboard)
        except RetryLater as later:
            self._slow_down(later.seconds)
        except (Flooded, TelegramAway) as error:
            self._slow_down(error.retry_after or 0.0)
        except (MessageGone, TelegramRefused) as error:
            logger.warning("not shown while it is written", extra={"reason": type(error).__name__})
            self._is_watched = False

    def _edit(self, part: Part, keyboard: Keyboard) -> None:
        self._api.edit(self._to.chat, self._messages[-1], part, keyboard=keyboard, hurry=True)
        self._shown = part

    def _begin_message(self) -> None:
        place, position = self._replies.place, len(self._messages)
        self._messages.append(
            place(self._update_id, self._to, self._person, keyboard=self._keyboard, position=position)
        )

    def _slow_down(self, seconds: float) -> None:
        self._interval = min(self._interval * 2, SLOWEST)
        self._next = self._clock() + max(self._interval, seconds)
