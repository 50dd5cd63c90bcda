"""Shows "typing…" in chats for as long as something is being done for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from telegram_service.telegram_api import Address
from telegram_service.telegram_errors import TelegramError

logger = logging.getLogger(__name__)

EVERY = 4.0  # seconds: Telegram shows it for five
Place = tuple[int, "int | None"]  # chat and topic


class Typing:
    """One thread for all chats of the process, which lives while any is shown; nobody waits for Telegram here. `tell`
    is TelegramApi.typing."""

    def __init__(self, tell: Callable[[Address], None], *, every: float = EVERY) -> None:
        self._tell = tell
        self._every = every
        self._shown: dict[Place, int] = {}  # how many want it; _changed's
        self._due: dict[Place, float] = {}  # when it is told again; _changed's
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None  # _changed's

    @contextmanager
    def shown(self, to: Address) -> Iterator[None]:
        """Show it in the chat during the block."""
        place = (to.chat, to.topic)
        with self._changed:
            self._shown[place] = self._shown.get(place, 0) + 1
            self._due.setdefault(place, 0.0)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_on, name="typing", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._shown[place] -= 1
                if not self._shown[place]:
                    del self._shown[place], self._due[place]
                self._changed.notify()

    def _keep_on(self) -> None:
        while (place := self._next()) is not None:
            try:
                self._tell(Address(*place))
            except TelegramError as error:  # it matters to nobody
                logger.debug("not shown as typing", extra={"reason": type(error).__name__})

    def _next(self) -> Place | None:
        """The chat that is to be told now, waited for; None once no chat is left."""
        with self._changed:
            while self._due:
                place = min(self._due, key=lambda one: self._due[one])
                wait = self._due[place] - time.monotonic()
                if wait <= 0:
                    self._due[place] = time.monotonic() + self._every
                    return place
                self._changed.wait(wait)
            self._thread = None
            return None
