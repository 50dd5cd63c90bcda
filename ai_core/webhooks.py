"""Tells other systems what happened: signed, retried, kept in the database until delivered or given up.

A receiver checks `X-Webhook-Signature: sha256=HEX`, HMAC-SHA256 with WEBHOOK_KEY over `TIMESTAMP.BODY`, where TIMESTAMP
(seconds since 1970) is in `X-Webhook-Timestamp`, and refuses old ones. An event may come twice, with the same
`X-Webhook-Id`. Receivers are known by a hash of their address, which may hold a token.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import peewee
import requests

from ai_core.storage import WebhookDelivery, utc_now
from common.database import connection

logger = logging.getLogger(__name__)

TIMEOUT = (3.0, 5.0)  # seconds to connect, seconds between two bytes
FIRST_WAIT = 10.0  # seconds, doubled after each attempt up to
LONGEST_WAIT = 3600.0
ATTEMPTS = 12  # about six hours
AT_ONCE = 50  # deliveries in one look
OPEN_AFTER = 3  # failures in a row, after which a receiver is left alone
OPEN_FOR = 60.0  # for that many seconds
UNSAVED_AT_MOST = 200  # events that wait for the database
KEPT = timedelta(days=7)  # what is delivered or given up, for the operator to look at

PENDING, DELIVERED, GIVEN_UP = "pending", "delivered", "given_up"


class Webhooks:
    """Events come from any thread; `deliver` is a regular job."""

    def __init__(self, database: peewee.Database, urls: Sequence[str], key: str) -> None:
        self._database = database
        self._receivers = {receiver_of(url): _Receiver(url) for url in urls}
        self._key = key.encode()
        self._unsaved: deque[dict[str, Any]] = deque(maxlen=UNSAVED_AT_MOST)
        self._lock = threading.Lock()

    def emit(self, event: str, data: dict[str, Any]) -> None:
        """Tell every receiver of `event`; `data` holds nothing personal. Returns at once: another thread writes
        it down, and where the database is away it waits in memory."""
        if not self._receivers:
            return
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        body = json.dumps({"event": event, "at": at, "data": data}, ensure_ascii=False)
        for receiver in self._receivers:
            self._unsaved.append(
                {
                    "id": secrets.token_hex(16),
                    "receiver": receiver,
                    "event": event,
                    "body": body,
                    "created_at": utc_now(),
                }
            )
        threading.Thread(target=self._save, name="webhook-events", daemon=True).start()

    def deliver(self) -> None:
        """Try what is due. Where the database is away, what waits in memory is tried once each time."""
        if not self._save():
            for row in list(self._unsaved):
                if not self._attempt(WebhookDelivery(**row)):
                    self._unsaved.remove(row)
            return
        with connection(self._database):
            for delivery in _due([name for name, receiver in self._receivers.items() if receiver.is_open()]):
                problem = self._attempt(delivery)
                if problem is not _SKIPPED:
                    _note(delivery, problem)

    def forget_old(self) -> int:
        """Delete what was delivered or given up a while ago; returns how many."""
        with connection(self._database):
            old = (WebhookDelivery.state != PENDING) & (WebhookDelivery.created_at < utc_now() - KEPT)
            return int(WebhookDelivery.delete().where(old).execute())

    def _save(self) -> bool:
        with self._lock:
            try:
                with connection(self._database):
                    while self._unsaved:
                        WebhookDelivery.insert(**self._unsaved[0]).execute()
                        self._unsaved.popleft()
            except (peewee.OperationalError, peewee.InterfaceError):
                logger.warning("webhook events wait for the database", extra={"events": len(self._unsaved)})
                return False
        return True

    def _attempt(self, delivery: WebhookDelivery) -> str | None:
        """Send once; returns None where it arrived, else what went wrong."""
        receiver = self._receivers.get(delivery.receiver)
        if receiver is None:
            return "receiver_removed"
        if receiver.is_open():
            return _SKIPPED
        problem = _send(receiver.url, signed_headers(self._key, delivery), delivery.body.encode())
        receiver.note(problem is None)
        if problem is not None:
            facts = {"event": delivery.event, "receiver": delivery.receiver, "problem": problem}
            logger.warning("webhook not delivered", extra=facts)
        return problem


_SKIPPED = "skipped"


class _Receiver:
    """An address, left alone for a while after several failures in a row."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0

    def is_open(self) -> bool:
        """Whether it is left alone now."""
        return self._clock() < self._open_until

    def note(self, arrived: bool) -> None:
        """How an attempt ended. After the pause one more failure is enough for the next one."""
        self._failures = 0 if arrived else self._failures + 1
        if self._failures >= OPEN_AFTER:
            self._open_until = self._clock() + OPEN_FOR


def receiver_of(url: str) -> str:
    """What a receiver is known by."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def signed_headers(key: bytes, delivery: WebhookDelivery) -> dict[str, str]:
    """Signed at the moment of sending, so that a receiver can refuse what was recorded and sent again."""
    timestamp = str(int(time.time()))
    signature = hmac.new(key, f"{timestamp}.{delivery.body}".encode(), hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Webhook-Id": delivery.id,
        "X-Webhook-Event": delivery.event,
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": f"sha256={signature}",
    }


def _send(url: str, headers: dict[str, str], body: bytes) -> str | None:
    """Follows no redirect: what is signed for one host is not for another. Reads nothing of the answer but its head."""
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            return None if 200 <= response.status_code < 300 else f"status {response.status_code}"
    except requests.RequestException as error:
        return type(error).__name__  # its text holds the address


def _due(but_for: list[str]) -> list[WebhookDelivery]:
    due = (WebhookDelivery.state == PENDING) & (WebhookDelivery.next_attempt_at <= utc_now())
    if but_for:
        due &= WebhookDelivery.receiver.not_in(but_for)
    return list(WebhookDelivery.select().where(due).order_by(WebhookDelivery.created_at).limit(AT_ONCE))


def _note(delivery: WebhookDelivery, problem: str | None) -> None:
    attempts = delivery.attempts + 1
    state = DELIVERED if problem is None else PENDING
    if problem is not None and (attempts >= ATTEMPTS or problem == "receiver_removed"):
        state = GIVEN_UP
        logger.error("webhook given up", extra={"event": delivery.event, "receiver": delivery.receiver})
    wait = min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT) * random.uniform(0.75, 1.25)
    WebhookDelivery.update(
        attempts=attempts,
        state=state,
        problem=(problem or "")[:60],
        next_attempt_at=utc_now() + timedelta(seconds=wait),
    ).where(WebhookDelivery.id == delivery.id).execute()
