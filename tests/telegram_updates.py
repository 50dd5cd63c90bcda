"""The way of updates from Telegram to a bot: pushed to its webhook, in order for each chat, again until it says 200; or
taken by getUpdates (https://core.telegram.org/bots/api#getting-updates)."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import requests

from tests.telegram_rules import Refused, bad

CONFLICT = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
TERMINATED = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
TIMEOUT = 20.0  # seconds that Telegram waits for a webhook


class Delivery(NamedTuple):
    """One attempt: `status` is None where nothing answered; `seconds` until the answer."""

    update_id: int
    status: int | None
    seconds: float


class Updates:
    """What the bot has not taken yet. `retry` seconds pass before a refused update is pushed again."""

    def __init__(self, *, retry: float) -> None:
        self.webhook: dict[str, Any] = {"url": ""}
        self.deliveries: list[Delivery] = []
        self.allowed: frozenset[str] = frozenset()  # kinds of update that the bot wants; empty: all
        self.receipts_to_lose = 0  # so many pushes that the bot took are pushed again
        self._secret: str | None = None
        self._retry = retry
        self._next_id = random.randrange(10**8, 10**9)
        self._pending: dict[int, dict[str, Any]] = {}
        self._lanes: dict[object, deque[int]] = {}
        self._ready: deque[object] = deque()  # lanes with something to push, that nobody pushes now
        self._changed = threading.Condition()
        self._poll = 0
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()

    def push(self, update: Mapping[str, Any]) -> int:
        """Queue an update for the bot; returns its id: its own `update_id`, else the next one."""
        with self._changed:
            update_id = int(update.get("update_id", self._next_id))
            self._next_id = max(self._next_id, update_id) + 1
            if self.allowed and not self.allowed & update.keys():
                return update_id
            self._pending[update_id] = {"update_id": update_id, **update}
            self._line_up(update_id)
            self._changed.notify_all()
            return update_id

    def waiting(self) -> int:
        with self._changed:
            return len(self._pending)

    def set_webhook(self, url: str, secret: str | None, connections: int, allowed: list[str] | None) -> None:
        with self._changed:
            self._secret = secret
            self.webhook = {"url": url, "has_custom_certificate": False, "max_connections": connections}
            if allowed:
                self.allowed = frozenset(allowed)
                self.webhook["allowed_updates"] = allowed
            while url and len(self._threads) < min(connections, 16):
                self._threads.append(threading.Thread(target=self._push_on, daemon=True))
                self._threads[-1].start()
            self._changed.notify_all()

    def drop(self) -> None:
        with self._changed:
            self._pending.clear()

    def get(self, offset: int, limit: int, timeout: float) -> list[dict[str, Any]]:
        """getUpdates. Whoever asks later ends the waiting of whoever asked before."""
        with self._changed:
            if self.webhook["url"]:
                raise Refused(409, CONFLICT)
            self._confirm(offset)
            self._poll += 1
            mine, end = self._poll, time.monotonic() + timeout
            self._changed.notify_all()
            while not self._pending and not self._closed.is_set() and time.monotonic() < end:
                self._changed.wait(end - time.monotonic())
                if self._poll != mine:
                    raise Refused(409, TERMINATED)
                if self.webhook["url"]:
                    raise Refused(409, CONFLICT)
            return [self._pending[key] for key in sorted(self._pending)[:limit]]

    def close(self) -> None:
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(TIMEOUT + 5)

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            raise bad("this server knows no negative offset")
        for update_id in [key for key in self._pending if key < offset]:
            del self._pending[update_id]

    def _line_up(self, update_id: int) -> None:
        lane = chat_of(self._pending[update_id])
        waiting = self._lanes.get(lane)
        if waiting is None:
            self._lanes[lane] = deque([update_id])
            self._ready.append(lane)
        else:
            waiting.append(update_id)

    def _push_on(self) -> None:
        with requests.Session() as session:
            while (found := self._take()) is not None:
                lane, update = found
                taken = self._push_once(session, update)
                self._settle(lane, update["update_id"], taken)

    def _take(self) -> tuple[object, dict[str, Any]] | None:
        with self._changed:
            while not self._closed.is_set():
                if not self.webhook["url"] or not self._ready:
                    self._changed.wait()
                    continue
                lane = self._ready.popleft()
                waiting = self._lanes[lane]
                while waiting and waiting[0] not in self._pending:
                    waiting.popleft()
                if waiting:
                    return lane, self._pending[waiting[0]]
                del self._lanes[lane]
            return None

    def _push_once(self, session: requests.Session, update: Mapping[str, Any]) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret} if self._secret else {}
        began, status = time.monotonic(), None
        try:
            response = session.post(
                self.webhook["url"], json=update, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
            status = response.status_code
            error = f"Wrong response from the webhook: {status} {response.reason}"
        except requests.RequestException:
            error = "Connection refused"
        with self._changed:
            self.deliveries.append(Delivery(update["update_id"], status, time.monotonic() - began))
            taken = status is not None and 200 <= status < 300
            if not taken:
                self.webhook |= {"last_error_date": int(time.time()), "last_error_message": error}
            if taken and self.receipts_to_lose:
                self.receipts_to_lose -= 1
                return False
        return taken

    def _settle(self, lane: object, update_id: int, taken: bool) -> None:
        if not taken:
            self._closed.wait(self._retry)  # the lane stays closed meanwhile
        with self._changed:
            if taken:
                self._pending.pop(update_id, None)
            self._ready.append(lane)
            self._changed.notify_all()


def chat_of(update: Mapping[str, Any]) -> object:
    """What Telegram keeps the order of: the chat, or the person where there is none."""
    for value in update.values():
        if isinstance(value, Mapping):
            message = value.get("message") or value
            if "chat" in message:
                return message["chat"]["id"]
            return value.get("from", {}).get("id")
    return None
