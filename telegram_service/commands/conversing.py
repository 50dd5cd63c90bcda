"""/ask, /reset, /retry, /cancel: the conversation."""

from __future__ import annotations

from telegram_service.bot import Visit
from telegram_service.claim import Claim
from telegram_service.conversation import Question, answer


def ask(visit: Visit, claim: Claim, question: str) -> None:
    """A question, in a group above all."""
    if question:
        answer(visit, claim, Question(question))
    else:
        visit.tell("ask_what")


def reset(visit: Visit, _: Claim, __: str) -> None:
    """Begin a new conversation."""
    visit.bot.history.begin_anew(visit.incoming.lane)
    visit.tell("reset_done")


def retry(visit: Visit, claim: Claim, _: str) -> None:
    """Answer the last question again, in place of the answer that it had."""
    number, address = visit.incoming.update_id, visit.incoming.address
    if visit.bot.replies.resume(number, address):
        return
    question = visit.bot.history.last_question(visit.incoming.lane)
    if question is None:
        visit.tell("nothing_to_retry")
        return
    answer(visit, claim, Question(question, is_again=True))


def cancel(visit: Visit, _: Claim, __: str) -> None:
    """What was being answered ended when this came in."""
    visit.tell("stopped")
