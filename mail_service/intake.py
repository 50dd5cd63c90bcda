"""A mail from the server becomes a row: once, however often and under whatever uid it is seen."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import peewee

from mail_service.addresses import addresses_in
from mail_service.counters import count
from mail_service.header_text import header_value, header_values
from mail_service.message_ids import ids_in
from mail_service.parsing import MAX_SUBJECT, Unparsable, is_urgent, parse_headers
from mail_service.people import People, identity_of
from mail_service.policy import Verdict
from mail_service.states import State
from mail_service.storage import CutOver, Message, utc_now

logger = logging.getLogger(__name__)

TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A mail as the poller fetched it. `raw` holds the headers only where `too_large`."""

    uid_validity: int
    uid: int
    raw: bytes
    arrived_at: datetime
    too_large: bool


class Intake:
    """Stores deliveries. `max_age`: mail that waited longer on the server is nobody's question any more."""

    def __init__(self, people: People, *, max_age: timedelta) -> None:
        self._people = people
        self._max_age = max_age

    def take(self, delivery: Delivery, present: set[int]) -> Message | None:
        """Store `delivery`; None when it is a second copy of a mail whose first one is still in the folder, whose uids
        are `present`."""
        row = self._row(delivery)
        try:
            with Message._meta.database.atomic():
                message: Message = Message.create(**row)
        except peewee.IntegrityError:
            return self._seen_before(str(row["identity"]), delivery, present)
        count("received")
        if message.state == State.REFUSED:
            count("refused", message.reason)
        logger.info("mail received", extra={"mail": message.id, "state": message.state})
        return message

    def _row(self, delivery: Delivery) -> dict[str, object]:
        sender, subject, message_id, urgent = "", "", None, False
        try:
            headers = parse_headers(delivery.raw)
            senders = addresses_in(header_values(headers, "From"))
            sender = senders[0].address if len(senders) == 1 else ""
            subject = header_value(headers, "Subject")[:MAX_SUBJECT]
            message_id = next(iter(ids_in(header_values(headers, "Message-ID"))), None)
            urgent = is_urgent(headers)
        except Unparsable:
            logger.info("headers not readable", extra={"uid": delivery.uid})  # the worker says so by its name
        state, reason = self._first_state(delivery)
        return {
            "identity": identity_of(message_id, sender, delivery.raw),
            "state": state,
            "reason": reason,
            "done_at": None if state is State.PENDING else utc_now(),
            "person": self._people.hash_of(sender),
            "subject_key": self._people.subject_key(sender, subject),
            "thread": "",
            "uid_validity": delivery.uid_validity,
            "uid": delivery.uid,
            "urgent": urgent,
            "sender": sender,
            "subject": subject,
            "message_id": message_id or "",
            "raw": delivery.raw.decode("latin-1") if state is State.PENDING else None,
        }

    def _first_state(self, delivery: Delivery) -> tuple[State, str]:
        if delivery.too_large:
            return State.FAILED, TOO_LARGE
        cut_over = CutOver.get_or_none()
        if cut_over is not None and delivery.arrived_at <= cut_over.at.replace(tzinfo=timezone.utc):
            return State.REFUSED, Verdict.BEFORE_CUT_OVER.value
        if datetime.now(timezone.utc) - delivery.arrived_at > self._max_age:
            return State.REFUSED, Verdict.TOO_OLD.value
        return State.PENDING, ""

    def _seen_before(self, identity: str, delivery: Delivery, present: set[int]) -> Message | None:
        known: Message = Message.get(Message.identity == identity)
        same_place = (known.uid_validity, known.uid) == (delivery.uid_validity, delivery.uid)
        if not same_place and known.uid_validity == delivery.uid_validity and known.uid in present:
            count("refused", Verdict.DUPLICATE.value)
            return None
        # Its uid changed: the server renumbered the folder, or somebody moved the mail back.
        Message.update(uid_validity=delivery.uid_validity, uid=delivery.uid, filed=False).where(
            Message.id == known.id
        ).execute()
        return known
