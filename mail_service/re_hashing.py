"""People's hashes under the newest secret, wherever their address is known: in the rows of their messages."""

from __future__ import annotations

from collections.abc import Iterator

import peewee

from common.crypto import Undecryptable
from common.database import connection
from common.re_encryption import Tally
from mail_service.people import People
from mail_service.storage import Admission, Message, ThreadReference

AT_ONCE = 100


def re_hash(database: peewee.Database, people: People, *, dry: bool = False) -> Tally:
    """Give each message's person, and what else hangs on them, the newest hash. Raises peewee's errors."""
    tally = Tally()
    with connection(database):
        for row in _messages():
            if row.person == people.hash_of(row.sender):
                tally.current += 1
            elif row.person in people.hashes_of(row.sender):
                tally.renewed += 1
                if not dry:
                    _renew(database, people, row)
            # Otherwise it was imported for a person whose address is not the sender's: found by the keys that are kept.
    return tally


def _messages() -> Iterator[Message]:
    last = 0
    while ids := _ids_after(last):
        for number in ids:
            try:
                row = Message.get_or_none(Message.id == number)
            except Undecryptable:  # re_encrypt_tables has counted it
                continue
            if row is not None:
                yield row
        last = ids[-1]


def _ids_after(last: int) -> list[int]:
    rows = Message.select(Message.id).where(Message.id > last).order_by(Message.id).limit(AT_ONCE)
    return [row.id for row in rows]


def _renew(database: peewee.Database, people: People, row: Message) -> None:
    old, new = row.person, people.hash_of(row.sender)
    subject = people.subject_key(row.sender, row.subject)
    with database.atomic():
        same = (Message.id == row.id) & (Message.person == old)
        Message.update(person=new, subject_key=subject).where(same).execute()
        counted = (Admission.person == old) & (Admission.subject_key == row.subject_key)
        Admission.update(person=new, subject_key=subject).where(counted).execute()
        known = ThreadReference.select(ThreadReference.digest).where(ThreadReference.person == new)
        twice = (ThreadReference.person == old) & ThreadReference.digest.in_([found.digest for found in known])
        ThreadReference.delete().where(twice).execute()
        ThreadReference.update(person=new).where(ThreadReference.person == old).execute()
