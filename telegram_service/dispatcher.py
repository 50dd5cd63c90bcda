"""Decides what an update is about and who deals with it: a command, a button, a question, or nobody."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from common.ai_client import AiAway
from telegram_service.bot import Bot, Visit
from telegram_service.buttons import press
from telegram_service.claim import Claim, RetryLater
from telegram_service.commands import COMMANDS
from telegram_service.conversation import Question, answer
from telegram_service.files import FileRefused
from telegram_service.formatting import parts
from telegram_service.incoming import Incoming, left_by, read_update
from telegram_service.limits import Admission
from telegram_service.telegram_errors import Blocked, Flooded, TelegramAway, TelegramRefused
from telegram_service.updates import stops

logger = logging.getLogger(__name__)

MORE_MAY_COME = 1.0  # seconds
LINE = "----------"  # between a question and a document: no words, or the search would look for them
AWAY_SECONDS = 3.0


class Dispatcher:
    """For any thread."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    def handle(self, claim: Claim) -> None:
        """Deal with an update. Raises RetryLater, and peewee's errors and RedisAway where those are away."""
        gone = left_by(claim.update)
        if gone is not None:
            self._bot.people.set_unreachable(gone)
            return
        incoming = read_update(claim.update)
        if incoming is None:
            return
        try:
            self._deal_with(claim, incoming)
        except Blocked:
            self._bot.people.set_unreachable(incoming.user)
        except Flooded as flooded:
            raise RetryLater(flooded.retry_after, "telegram_flooded") from None
        except TelegramAway as away:
            raise RetryLater(away.retry_after or AWAY_SECONDS, "telegram_away") from None
        except AiAway as away:
            raise RetryLater(away.retry_after or AWAY_SECONDS, away.reason) from None
        except TelegramRefused as refused:
            logger.warning("refused by Telegram", extra={"update": claim.update_id, "status": refused.status})

    def apologise(self, claim: Claim) -> None:
        """Say that there will be no answer, unless there is one. Raises RetryLater."""
        incoming = read_update(claim.update)
        if incoming is None or incoming.query is not None:
            return
        try:
            if not incoming.addresses(self._bot.name):
                return
            # Perhaps nobody came so far as to note that they wrote.
            person = self._bot.people.meet(incoming.user, again=True)
            if person.is_blocked or not self._may_write(incoming.user):
                return
            visit = Visit(self._bot, incoming, person)
            if self._bot.replies.resume(incoming.update_id, incoming.address):
                return
            self._bot.usage.note(incoming.update_id, person.hash, "given_up")
            self._bot.replies.prepare(incoming.update_id, person.hash, parts(visit.text("apology")))
            self._bot.replies.deliver(incoming.update_id, incoming.address)
        except Blocked:
            self._bot.people.set_unreachable(incoming.user)
        except Flooded as flooded:
            raise RetryLater(flooded.retry_after, "telegram_flooded") from None
        except TelegramAway as away:
            raise RetryLater(away.retry_after or AWAY_SECONDS, "telegram_away") from None

    def _deal_with(self, claim: Claim, incoming: Incoming) -> None:
        name = self._bot.name
        if not incoming.addresses(name) or incoming.is_for_another(name):
            return
        if incoming.user in self._bot.manners.blocked:
            return
        person = self._bot.people.meet(incoming.user, again=claim.attempts > 1)
        visit = Visit(self._bot, incoming, person)
        if person.is_blocked:
            return
        if not self._may_write(incoming.user):
            visit.tell("not_allowed")
        elif incoming.query is not None:
            press(visit)
        elif stops(claim.update) or self._is_admitted(visit):
            self._notice(visit)
            self._converse(visit, claim)

    def _may_write(self, user: int) -> bool:
        manners = self._bot.manners
        return not manners.allowed or user in manners.allowed or user in manners.admins

    def _is_admitted(self, visit: Visit) -> bool:
        verdict = self._bot.limits.admit(visit.incoming.user, visit.incoming.update_id)
        if verdict.admission is Admission.TELL:
            visit.tell(verdict.text, seconds=verdict.seconds)
        return verdict.admission is Admission.ALLOWED

    def _notice(self, visit: Visit) -> None:
        """At the first contact: that this is an AI, and what is kept. /start says it after the welcome."""
        if visit.person.is_noticed:
            return
        command = visit.incoming.command(self._bot.name)
        if command is None or command[0] != "start":
            visit.tell_text(visit.text("notice", days=self._bot.manners.retention_days), name="notice")
        self._bot.people.set_noticed(visit.incoming.user)

    def _converse(self, visit: Visit, claim: Claim) -> None:
        command = visit.incoming.command(self._bot.name)
        if command is not None:
            name, argument = command
            run = COMMANDS.get(name)
            if run is None:
                visit.tell("unknown_command")
            else:
                run(visit, claim, argument)
            return
        visit = replace(visit, incoming=self._whole(visit.incoming, claim))
        question = self._question(visit)
        if question is not None:
            answer(visit, claim, question)

    def _whole(self, incoming: Incoming, claim: Claim) -> Incoming:
        """With the rest of a text that Telegram cut, or of an album. Raises RetryLater while more may come."""
        if not (incoming.may_go_on or incoming.album):
            return incoming
        following = self._bot.mailbox.following(claim.lane)
        whole, absorbed = _joined(incoming, following)
        if claim.attempts == 1 and len(absorbed) == len(following) and (whole.may_go_on or whole.album):
            raise RetryLater(MORE_MAY_COME, "more may come")
        if absorbed:
            self._bot.mailbox.absorb(claim, absorbed)
        return whole

    def _question(self, visit: Visit) -> Question | None:
        """What is asked, its files read; None where the person was told that nothing can be."""
        incoming = visit.incoming
        text = incoming.question(self._bot.name)
        if not incoming.files:
            if not text:
                visit.tell("unsupported")
                return None
            return Question(text)
        question = Question(text)
        try:
            documents = [self._read(visit, question, number) for number in range(len(incoming.files))]
        except FileRefused as refused:
            visit.tell_text(visit.text(refused.text, size=self._bot.files.megabytes))
            return None
        except AiAway:
            visit.tell_text(visit.text("still_trying"), name="waiting")  # once, however often it is tried
            raise
        found = [document for document in documents if document]
        question.text = f"\n\n{LINE}\n\n".join([question.text or visit.text("file_question"), *found])
        return question

    def _read(self, visit: Visit, question: Question, number: int) -> str:
        """The text of a document; what a recording says is the question itself."""
        file = visit.incoming.files[number]
        read = self._bot.files.read(file, f"telegram-{visit.incoming.update_id}", visit.language)
        if read.truncated and visit.text("file_truncated") not in question.notices:
            question.notices.append(visit.text("file_truncated"))
        if file.kind != "recording":
            return read.text
        question.text = "\n\n".join(filter(None, (question.text, read.text)))
        question.notices.insert(0, visit.text("heard", text=read.text[:500]))
        return ""


def _joined(first: Incoming, following: Sequence[tuple[int, Mapping[str, object]]]) -> tuple[Incoming, list[int]]:
    whole, absorbed, last = first, list[int](), first
    for number, update in following:
        other = read_update(update)
        if other is None or other.user != first.user or other.query is not None or other.text.startswith("/"):
            break
        if first.album and other.album == first.album:
            text = "\n".join(filter(None, (whole.text, other.text)))
            whole = replace(whole, files=(*whole.files, *other.files), text=text)
        elif last.may_go_on and not other.files and other.text:
            whole = replace(whole, text=f"{whole.text}\n{other.text}")
        else:
            break
        absorbed.append(number)
        last = other
    return whole, absorbed
