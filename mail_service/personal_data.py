"""Everything that the service holds of one person: exported, erased; and forgotten by itself when its time is over."""

from __future__ import annotations

import email
import email.policy
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import peewee
from imapclient import IMAPClient  # type: ignore[import-untyped]

from mail_service.addresses import addresses_in
from mail_service.breaker import forget_old_admissions
from mail_service.header_text import header_values
from mail_service.imap_server import FAILED, JUNK, PROCESSED, ImapServer, folder_name, sent_folder
from mail_service.mail_queue import MailQueue
from mail_service.operations import files_of, replies_to
from mail_service.parsing import parse_headers
from mail_service.people import People
from mail_service.states import FINAL
from mail_service.storage import Admission, AttachmentText, Message, Reply, ThreadReference, utc_now

logger = logging.getLogger(__name__)

BATCH = 200


@dataclass(frozen=True, slots=True)
class Erased:
    """How much went: rows of the database, keys of Redis, mails on the server."""

    messages: int
    redis_keys: int
    mails: int


class PersonalData:
    """Finds people by the hashes of their (normalised) addresses, and their mail on the server by the address."""

    def __init__(
        self, database: peewee.Database, people: People, queue: MailQueue, server: ImapServer, *, inbox: str
    ) -> None:
        self._database = database
        self._people = people
        self._queue = queue
        self._server = server
        self._inbox = inbox

    def export(self, address: str) -> Mapping[str, Any]:
        """What is stored about the person, readable."""
        rows = Message.select().where(Message.person.in_(self._people.hashes_of(address))).order_by(Message.id)
        return {"address": address, "messages": [_exported(row) for row in rows]}

    def erase(self, address: str) -> Erased:
        """Remove all of it, here, in Redis, and in the folders of the mailbox. May be repeated. Raises RedisAway and
        MailAway before anything of the database is gone, so that what is left can be found again."""
        person = self._people.hashes_of(address)
        ids = [row.id for row in Message.select(Message.id).where(Message.person.in_(person))]
        with self._server.session() as client:
            mails = sum(self._erase_mails(client, folder, header, address) for folder, header in self._folders(client))
        keys = self._queue.forget(ids)
        with self._database.atomic():
            for table in (ThreadReference, Admission):
                table.delete().where(table.person.in_(person)).execute()
            erase_messages(ids)
        logger.info("person erased", extra={"messages": len(ids), "mails": mails})
        return Erased(len(ids), keys, mails)

    def _folders(self, client: IMAPClient) -> Iterator[tuple[str, str]]:
        for name in (PROCESSED, FAILED, JUNK):
            yield folder_name(client, name), "From"
        sent = sent_folder(client)
        if sent is not None:
            yield sent, "To"
        # Last: what the poller takes in until here is found by its row, or is not there yet.
        yield self._inbox, "From"

    def _erase_mails(self, client: IMAPClient, folder: str, header: str, address: str) -> int:
        if not client.folder_exists(folder):
            return 0
        client.select_folder(folder)
        # SEARCH finds parts of words: each mail's own header decides.
        found = client.search([header.upper(), address])
        wanted = f"BODY.PEEK[HEADER.FIELDS ({header.upper()})]"
        facts = client.fetch(found, [wanted]) if found else {}
        uids = [uid for uid, fact in facts.items() if _is_about(fact, header, address)]
        if uids:
            client.delete_messages(uids, silent=True)
            client.expunge(uids if client.has_capability("UIDPLUS") else None)
        return len(uids)


def erase_messages(ids: Sequence[int]) -> None:
    """Remove messages with all that belongs to them."""
    for at in range(0, len(ids), BATCH):
        some = list(ids[at : at + BATCH])
        for table in (Reply, AttachmentText):  # SQLite cascades only where foreign keys are on
            table.delete().where(table.message.in_(some)).execute()
        Message.delete().where(Message.id.in_(some)).execute()


def forget_old(database: peewee.Database, queue: MailQueue, keep: timedelta) -> int:
    """Remove messages that were done with longer than `keep` ago; returns how many. The mailbox is the operator's."""
    before = utc_now() - keep
    done = Message.state.in_([state.value for state in FINAL]) & (Message.done_at < before)
    ids = [row.id for row in Message.select(Message.id).where(done)]
    queue.forget(ids)
    with database.atomic():
        erase_messages(ids)
        ThreadReference.delete().where(ThreadReference.created_at < before).execute()
        forget_old_admissions()
    return len(ids)


def _exported(row: Message) -> Mapping[str, Any]:
    return {
        "received_at": row.received_at.isoformat(),
        "state": row.state,
        "reason": row.reason,
        "sender": row.sender,
        "subject": row.subject,
        "message_id": row.message_id,
        "thread": row.thread,
        "question": row.question,
        "answer": row.answer,
        "mail": row.raw,
        "attachments": [{"name": file.name, "size": file.size, "text": file.text} for file in files_of(row)],
        "replies": [
            {"kind": reply.kind, "state": reply.state, "to": reply.recipient, "text": _text_of(reply.raw)}
            for reply in replies_to(row)
        ],
    }


def _text_of(raw: str) -> str:
    message = email.message_from_string(raw, policy=email.policy.default)
    body = message.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


def _is_about(fact: Mapping[bytes, Any], header: str, address: str) -> bool:
    raw = next((value for key, value in fact.items() if key.startswith(b"BODY[")), b"")
    values = header_values(parse_headers(raw), header) if raw.strip() else []
    return any(found.address == address for found in addresses_in(values))
