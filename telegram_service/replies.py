"""Says each reply once, whatever is killed when.

Telegram has no way to ask whether a message was sent. So an answer first gets placeholders, whose ids are stored; then
it is frozen in the database; then the placeholders are edited, which may be done twice. What can go wrong is a
placeholder too many, never an answer too many. Short messages go out directly: before it is sent such one is noted
as `sending`, and one that is found so afterwards is sent again only where that changes nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

import peewee

from common.database import connection
from telegram_service.claim import RetryLater
from telegram_service.formatting import Part
from telegram_service.reply_storage import PartState, Reply, ReplyPart, ReplyState
from telegram_service.telegram_api import Address, Blocked, Button, Flooded, Keyboard, MessageGone, TelegramAway

logger = logging.getLogger(__name__)

PLACEHOLDER = Part("…")
ANSWER = "answer"
AWAY_SECONDS = 2.0  # until the next attempt, where Telegram did not say


class Messages(Protocol):
    """What of TelegramApi replies need."""

    def send(self, to: Address, part: Part, *, keyboard: Keyboard = ()) -> int: ...

    def edit(self, chat: int, message: int, part: Part, *, keyboard: Keyboard = ()) -> None: ...

    def delete(self, chat: int, message: int) -> None: ...


class Replies:
    """For any thread. Methods that write into a chat raise RetryLater where that has to wait, and Blocked, after which
    nothing is left to be said, where the person wants none; `person` is a keyed hash."""

    def __init__(self, database: peewee.Database, api: Messages) -> None:
        self._database = database
        self._api = api

    # -- answers: placeholders, then frozen, then shown ---------------------------------------------------------------

    def resume(self, update_id: int, to: Address, *, name: str = ANSWER) -> bool:
        """Whether an earlier attempt decided what to say; if so, it is delivered now as far as it was not."""
        with connection(self._database):
            reply = _find(update_id, name)
            if reply is None or reply.state == ReplyState.WRITING:
                return False
            self._deliver(reply, to)
            return True

    def place(
        self,
        update_id: int,
        to: Address,
        person: str,
        part: Part = PLACEHOLDER,
        *,
        keyboard: Keyboard = (),
        position: int = 0,
        name: str = ANSWER,
    ) -> int:
        """Let there be a message for part `position` of the answer, and return its id: a new one says `part`."""
        with connection(self._database):
            with self._database.atomic():
                reply = _begun(update_id, name, person)
                _part(reply, position)
            return self._place(reply, position, to, part, keyboard)

    def is_open(self, update_id: int, *, name: str = ANSWER) -> bool:
        """Whether nothing is decided yet: what is shown of the answer may still change."""
        with connection(self._database):
            reply = _find(update_id, name)
            return reply is not None and reply.state == ReplyState.WRITING

    def prepare(
        self, update_id: int, person: str, parts: Sequence[Part], *, keyboard: Keyboard = (), name: str = ANSWER
    ) -> bool:
        """Freeze what is said, with `keyboard` below its end. False where something was decided before: that stays."""
        if not parts:
            raise ValueError("a reply that says nothing")
        with connection(self._database), self._database.atomic():
            reply = _begun(update_id, name, person)
            decided = Reply.update(state=ReplyState.READY).where(
                (Reply.id == reply.id) & (Reply.state == ReplyState.WRITING)
            )
            if not decided.execute():
                return False
            for position, part in enumerate(parts):
                below = keyboard if position == len(parts) - 1 else ()
                stored = _part(reply, position)
                ReplyPart.update(content=_as_text(part, below)).where(ReplyPart.id == stored.id).execute()
            return True

    def deliver(self, update_id: int, to: Address, *, name: str = ANSWER) -> None:
        """Show what was prepared; what is shown already is left as it is."""
        if not self.resume(update_id, to, name=name):
            raise ValueError("nothing is prepared")

    # -- short messages -----------------------------------------------------------------------------------------------

    def tell(
        self,
        update_id: int,
        to: Address,
        person: str,
        parts: Sequence[Part],
        *,
        keyboard: Keyboard = (),
        name: str = "told",
        repeat: bool = True,
    ) -> None:
        """Say something short at once. `repeat`: where nobody knows whether it arrived, it is said again."""
        self.prepare(update_id, person, parts, keyboard=keyboard, name=name)
        with connection(self._database):
            reply = _find(update_id, name)
            if reply is not None and reply.state == ReplyState.READY:
                self._send_directly(reply, to, repeat)

    def once(self, update_id: int, person: str, name: str) -> bool:
        """Whether this is the first time that `name` is asked for an update: for what cannot be edited, as a file."""
        with connection(self._database):
            fields = {"update_id": update_id, "name": name, "person": person, "state": ReplyState.DELIVERED}
            return bool(Reply.insert(**fields).on_conflict_ignore().as_rowcount().execute())

    # -- keeping and forgetting ---------------------------------------------------------------------------------------

    def forget(self, person: str) -> int:
        """Forget all replies to a person; returns how many there were."""
        return self._delete(Reply.person == person)

    def purge(self, before: datetime) -> int:
        """Forget replies to updates that came before (UTC, without a zone): Telegram repeats none after a day."""
        return self._delete(Reply.created_at < before)

    def _delete(self, which: Any) -> int:
        with connection(self._database), self._database.atomic():
            replies = Reply.select(Reply.id).where(which)
            ReplyPart.delete().where(ReplyPart.reply.in_(replies)).execute()
            return int(Reply.delete().where(which).execute())

    # -- within -------------------------------------------------------------------------------------------------------

    def _deliver(self, reply: Any, to: Address) -> None:
        if reply.state != ReplyState.READY:
            return
        parts = _parts(reply)
        # Looked at after its parts: once another worker has settled it they have no content, which is no reason to
        # remove what stands in the chat.
        fresh = Reply.get_or_none(Reply.id == reply.id)
        if fresh is None or fresh.state != ReplyState.READY:
            return
        with self._given_up_when_blocked(reply):
            for part in parts:
                if part.content is None:  # the answer was longer while it was being written
                    self._remove(part, to)
                elif part.state != PartState.SHOWN:
                    self._show(reply, part, to)
                    if part is not parts[-1]:  # then all of it is, which is noted next: each note waits for the disk
                        ReplyPart.update(state=PartState.SHOWN).where(ReplyPart.id == part.id).execute()
        self._settle(reply, ReplyState.DELIVERED)

    def _show(self, reply: Any, part: Any, to: Address) -> None:
        said, keyboard = _from_text(part.content)
        for _ in range(2):
            message = self._place(reply, part.position, to, PLACEHOLDER, ())
            try:
                with _or_later():
                    self._api.edit(to.chat, message, said, keyboard=keyboard)
                break
            except MessageGone:  # the person removed it: they get another one, once
                ReplyPart.update(message_id=None).where(ReplyPart.id == part.id).execute()

    def _place(self, reply: Any, position: int, to: Address, part: Part, keyboard: Keyboard) -> int:
        stored = _part(reply, position)
        if stored.message_id is not None:
            return int(stored.message_id)
        where = to if position == 0 else Address(to.chat, to.topic)
        with self._given_up_when_blocked(reply), _or_later():
            message = self._api.send(where, part, keyboard=keyboard)
        mine = ReplyPart.update(message_id=message).where((ReplyPart.id == stored.id) & ReplyPart.message_id.is_null())
        if mine.execute():
            return message
        with _or_later():  # somebody else works on the same update: our lease ran out meanwhile
            self._api.delete(to.chat, message)
        return self._place(reply, position, to, part, keyboard)

    def _remove(self, part: Any, to: Address) -> None:
        if part.message_id is not None:
            with _or_later():
                self._api.delete(to.chat, part.message_id)
        ReplyPart.delete().where(ReplyPart.id == part.id).execute()

    def _send_directly(self, reply: Any, to: Address, repeat: bool) -> None:
        with self._given_up_when_blocked(reply):
            for part in _parts(reply):
                if part.state == PartState.WAITING or (part.state == PartState.SENDING and repeat):
                    said, keyboard = _from_text(part.content)
                    where = to if part.position == 0 else Address(to.chat, to.topic)
                    self._send_noted(part, where, said, keyboard)
                elif part.state == PartState.SENDING:
                    logger.warning("perhaps sent, and not sent again", extra={"reply": reply.id})
        self._settle(reply, ReplyState.DELIVERED)

    def _send_noted(self, part: Any, to: Address, said: Part, keyboard: Keyboard) -> None:
        change = ReplyPart.update
        change(state=PartState.SENDING).where(ReplyPart.id == part.id).execute()
        try:
            with _or_later():
                message = self._api.send(to, said, keyboard=keyboard)
        except RetryLater as later:
            if not isinstance(later.__cause__, TelegramAway) or not later.__cause__.uncertain:
                change(state=PartState.WAITING).where(ReplyPart.id == part.id).execute()
            raise
        change(state=PartState.SHOWN, message_id=message).where(ReplyPart.id == part.id).execute()

    @contextmanager
    def _given_up_when_blocked(self, reply: Any) -> Iterator[None]:
        try:
            yield
        except Blocked:
            self._settle(reply, ReplyState.DROPPED)
            raise

    def _settle(self, reply: Any, state: ReplyState) -> None:
        """What was said is no longer needed here, only that it was."""
        with self._database.atomic():
            Reply.update(state=state).where(Reply.id == reply.id).execute()
            ReplyPart.update(content=None).where(ReplyPart.reply == reply.id).execute()


@contextmanager
def _or_later() -> Iterator[None]:
    try:
        yield
    except Flooded as flooded:
        raise RetryLater(flooded.retry_after, "telegram_flooded") from flooded
    except TelegramAway as away:
        raise RetryLater(away.retry_after or AWAY_SECONDS, "telegram_away") from away


def _find(update_id: int, name: str) -> Any:
    return Reply.get_or_none((Reply.update_id == update_id) & (Reply.name == name))


def _begun(update_id: int, name: str, person: str) -> Any:
    found = _find(update_id, name)
    if found is None:
        Reply.insert(update_id=update_id, name=name, person=person).on_conflict_ignore().execute()
        found = _find(update_id, name)
    return found


def _part(reply: Any, position: int) -> Any:
    which = (ReplyPart.reply == reply.id) & (ReplyPart.position == position)
    found = ReplyPart.get_or_none(which)
    if found is None:
        ReplyPart.insert(reply=reply.id, position=position).on_conflict_ignore().execute()
        found = ReplyPart.get(which)
    return found


def _parts(reply: Any) -> list[Any]:
    return list(ReplyPart.select().where(ReplyPart.reply == reply.id).order_by(ReplyPart.position))


def _as_text(part: Part, keyboard: Keyboard) -> str:
    rows = [[[button.text, button.data, button.url] for button in row] for row in keyboard]
    return json.dumps({"text": part.text, "entities": [dict(entity) for entity in part.entities], "keyboard": rows})


def _from_text(text: str) -> tuple[Part, Keyboard]:
    told = json.loads(text)
    return Part(told["text"], tuple(told["entities"])), [
        [Button(*button) for button in row] for row in told["keyboard"]
    ]
