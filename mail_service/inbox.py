"""The assistant's inbox: new mail becomes rows, mail that is done with is flagged and moved to its folder."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

import peewee
from imapclient import IMAPClient  # type: ignore[import-untyped]

from mail_service.imap_server import FAILED, JUNK, PROCESSED, ensure_folder
from mail_service.intake import Delivery, Intake
from mail_service.policy import Verdict
from mail_service.states import FINAL, State
from mail_service.storage import Mailbox, Message, utc_now

logger = logging.getLogger(__name__)

ANSWERED, SEEN, DELETED = b"\\Answered", b"\\Seen", b"\\Deleted"
BATCH = 100  # uids in one command
_JUNK = [verdict.value for verdict in Verdict if verdict.is_junk]


class Inbox:
    """One folder of the account, through a session that the caller holds."""

    def __init__(self, folder: str, intake: Intake, *, max_size: int) -> None:
        self._folder = folder
        self._intake = intake
        self._max_size = max_size

    def poll(self, client: IMAPClient) -> int:
        """Take in what is new, file what is done; returns how many were new."""
        validity = int(client.select_folder(self._folder)[b"UIDVALIDITY"])
        present = set(client.search(["ALL"]))
        new = 0
        duplicates: list[int] = []
        for delivery in self._unknown(client, validity, present):
            try:
                if self._intake.take(delivery, present) is None:
                    duplicates.append(delivery.uid)
                else:
                    new += 1
            except peewee.PeeweeException:
                raise
            except Exception:
                # One mail that breaks the reader stays where it is; the others go on.
                logger.exception("mail not taken in", extra={"uid": delivery.uid})
        self._move(client, PROCESSED, duplicates, [SEEN])
        self._file_done(client, validity, present)
        self._note_poll(validity)
        return new

    def _unknown(self, client: IMAPClient, validity: int, present: set[int]) -> Iterator[Delivery]:
        known = {row.uid for row in Message.select(Message.uid).where(
            (Message.uid_validity == validity) & (Message.filed == False)  # noqa: E712 - SQL
        )}  # fmt: skip
        for uids in _batches(sorted(present - known)):
            facts = client.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
            for uid in uids:
                fact = facts.get(uid)
                delivery = fact and self._fetched(client, validity, uid, fact)
                if delivery:
                    yield delivery

    def _fetched(self, client: IMAPClient, validity: int, uid: int, fact: dict[bytes, object]) -> Delivery | None:
        too_large = int(str(fact[b"RFC822.SIZE"])) > self._max_size
        wanted = "BODY.PEEK[HEADER]" if too_large else "BODY.PEEK[]"
        answer = client.fetch([uid], [wanted]).get(uid)
        if answer is None:
            return None  # somebody removed it meanwhile
        arrived = fact[b"INTERNALDATE"]
        assert isinstance(arrived, datetime)
        raw = answer[wanted.replace(".PEEK", "").encode()]
        # imapclient gives the server's time in our zone, without saying so.
        return Delivery(validity, uid, raw, arrived.astimezone(timezone.utc), too_large)

    def _file_done(self, client: IMAPClient, validity: int, present: set[int]) -> None:
        waiting = (Message.uid_validity == validity) & (Message.filed == False)  # noqa: E712 - SQL
        rows = Message.select(Message.id, Message.uid, Message.state, Message.reason).where(
            waiting & Message.state.in_(list(FINAL))
        )
        groups: dict[tuple[str, bool], list[Message]] = defaultdict(list)
        for row in rows:
            groups[_folder_for(row), row.state == State.COMPLETED].append(row)
        for (folder, answered), messages in groups.items():
            uids = [row.uid for row in messages if row.uid in present]
            self._move(client, folder, uids, [SEEN, ANSWERED] if answered else [SEEN])
            ids = [row.id for row in messages]
            for some in _batches(ids):
                Message.update(filed=True).where(Message.id.in_(list(some))).execute()

    def _move(self, client: IMAPClient, folder: str, uids: Sequence[int], flags: Sequence[bytes]) -> None:
        """Flag and move; both may be repeated after a crash between them."""
        if not uids:
            return
        target = ensure_folder(client, folder)
        for some in _batches(uids):
            client.add_flags(some, flags, silent=True)
            if client.has_capability("MOVE"):
                client.move(some, target)
            else:
                client.copy(some, target)
                client.add_flags(some, [DELETED], silent=True)
                client.expunge(some if client.has_capability("UIDPLUS") else None)

    def _note_poll(self, validity: int) -> None:
        known = Mailbox.get_or_none(Mailbox.folder == self._folder)
        if known is not None and known.uid_validity != validity:
            logger.warning("the server renumbered the folder", extra={"uid_validity": validity})
        now = {Mailbox.uid_validity: validity, Mailbox.polled_at: utc_now()}
        Mailbox.insert({Mailbox.folder: self._folder, **now}).on_conflict(
            conflict_target=(Mailbox.folder,), update=now
        ).execute()


def _folder_for(row: Message) -> str:
    if row.state == State.FAILED:
        return FAILED
    return JUNK if row.state == State.REFUSED and row.reason in _JUNK else PROCESSED


def _batches(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(uids), BATCH):
        yield uids[at : at + BATCH]
