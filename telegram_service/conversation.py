"""From a question to its answer: asked once, shown while it is written, kept, and said once."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from common.ai_client import AiAway, AiRefused, Stream
from common.database import connection
from common.redis_store import RedisAway
from telegram_service.bot import Bot, Visit
from telegram_service.claim import Claim, RetryLater
from telegram_service.formatting import Part, parts
from telegram_service.people import CHANNEL
from telegram_service.preferences import LENGTH_FACTORS
from telegram_service.streaming import LiveReply
from telegram_service.telegram_api import Button, Keyboard, TelegramError
from telegram_service.updates import STOP_DATA
from telegram_service.usage import ANSWERED, STOPPED

logger = logging.getLogger(__name__)

LOOK_FOR_STOP = 0.5  # seconds
AI_WAIT = 5.0  # seconds until it is asked again, where it does not say; twice as many each time, up to 40
MAX_CONTEXT = 60_000  # characters; the AI core fits it to its model
MAX_MESSAGES = 100  # of a context, as the AI core takes it
MOST_TOKENS = 2_048
SHORTENED = 0.5  # of the tokens, in a crowd
RATE_DATA = "rate"
_CUT = ("length", "deadline")  # finish reasons
_REFUSALS = {"body_too_large": "refused_too_long", "content_refused": "refused_content"}
_NOT_THAT_MODEL = (404, 409)
_INVALID = 422


@dataclass(slots=True)
class Question:
    """What is asked, and sentences that the answer ends with. `is_short`: there is a crowd. `is_again`: the answer
    takes the place of the last one."""

    text: str
    notices: list[str] = field(default_factory=list)
    is_short: bool = False
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What the AI core said. `is_stopped`: the person ended it, and `answer` is empty."""

    text: str
    answer: Mapping[str, Any]
    is_stopped: bool
    seconds: float


def answer(visit: Visit, claim: Claim, question: Question) -> None:
    """Answer `question`. Raises RetryLater, Blocked, and peewee's errors; may run again at any point."""
    bot, incoming = visit.bot, visit.incoming
    if bot.replies.resume(incoming.update_id, incoming.address):
        return
    if is_stopped(bot, visit):
        _conclude(visit, question, _Told("", {}, True, 0.0), parts_of(visit, question, "", {}), [])
        bot.replies.deliver(incoming.update_id, incoming.address)
        return
    _look_at_crowd(visit, question)
    with bot.live.opened(
        incoming.update_id,
        incoming.address,
        visit.person.hash,
        keyboard=_stop_button(visit),
        placeholder=Part(visit.text("thinking")),
    ) as live:
        try:
            told = _ask(visit, question, live)
        except AiAway as away:
            _tell_wait(visit, away)
            raise RetryLater(away.retry_after or _backoff(claim), away.reason) from None
        except AiRefused as refused:
            text = visit.text(_REFUSALS.get(refused.code, "refused"))
            bot.usage.note(incoming.update_id, visit.person.hash, refused.code)
            live.finish(parts(text))
            return
        keyboard = () if told.is_stopped else _rating_buttons(visit)
        found = parts_of(visit, question, told.text, told.answer)
        _conclude(visit, question, told, found, keyboard)
        bot.replies.deliver(incoming.update_id, incoming.address)
        live.mend(found, keyboard=keyboard)


def is_stopped(bot: Bot, visit: Visit) -> bool:
    """Whether the person ended it before it began."""
    try:
        return bot.mailbox.is_stopped(visit.incoming.lane.name, visit.incoming.user, visit.incoming.update_id)
    except RedisAway:
        return False


def body_of(visit: Visit, question: Question, context: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The request to the AI core: what the operator and the person chose; the rest is its profile of this channel."""
    manners, chosen = visit.bot.manners, visit.person.preferences
    body: dict[str, Any] = {
        "message": question.text,
        "channel": CHANNEL,
        "user_id": str(visit.incoming.user),
        "context": list(context),
    }
    factor = LENGTH_FACTORS[chosen.length] * (SHORTENED if question.is_short else 1.0)
    body["max_tokens"] = max(1, min(MOST_TOKENS, round(manners.max_tokens * factor)))
    temperature = manners.temperature if chosen.temperature is None else chosen.temperature
    optional: Mapping[str, Any] = {
        "temperature": temperature,
        "top_p": manners.top_p,
        "top_k": manners.top_k,
        "parameters": None
        if manners.repetition_penalty is None
        else {"repetition_penalty": manners.repetition_penalty},
        "model": manners.default_model if question.is_short else chosen.model or manners.default_model,
    }
    return {**body, **{name: value for name, value in optional.items() if value is not None}}


def _ask(visit: Visit, question: Question, live: LiveReply) -> _Told:
    """Ask, and once more without what the loaded model cannot do. Raises AiAway, AiRefused."""
    turns = visit.bot.history.turns(visit.incoming.lane) if visit.person.preferences.keep_history else []
    context = _recent(turns[:-2] if question.is_again else turns)
    body = body_of(visit, question, context)
    try:
        return _stream(visit, body, live)
    except AiRefused as refused:
        model = body.pop("model", None)
        if refused.status in _NOT_THAT_MODEL and model is not None:
            question.notices.append(visit.text("other_model", model=model))
        elif refused.status != _INVALID:
            raise
        for name in ("temperature", "top_p", "top_k", "parameters"):
            body.pop(name, None)
    return _stream(visit, body, live)


def _stream(visit: Visit, body: Mapping[str, Any], live: LiveReply) -> _Told:
    begun = time.monotonic()
    next_look = begun + LOOK_FOR_STOP
    with visit.bot.ai.stream(body, f"telegram-{visit.incoming.update_id}") as stream:
        for event in stream:
            if event.kind == "token":
                live.add(str(event.data.get("text", "")))
            elif event.kind == "done":
                return _Told(str(event.data["response"]), event.data, False, time.monotonic() - begun)
            else:
                live.tick()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK_FOR_STOP
                if is_stopped(visit.bot, visit):
                    return _stopped(stream, live, begun)
    raise AiAway("ai_cut")


def _stopped(stream: Stream, live: LiveReply, begun: float) -> _Told:
    stream.close()
    return _Told(live.text, {}, True, time.monotonic() - begun)


def _conclude(visit: Visit, question: Question, told: _Told, found: Sequence[Part], keyboard: Keyboard) -> None:
    """Decide what is said, and keep it: all at once."""
    bot, incoming, person = visit.bot, visit.incoming, visit.person
    with connection(bot.database), bot.database.atomic():
        if not bot.replies.prepare(incoming.update_id, person.hash, found, keyboard=keyboard):
            return  # another worker was faster
        bot.usage.note(
            incoming.update_id,
            person.hash,
            STOPPED if told.is_stopped else ANSWERED,
            model=str(told.answer.get("model", "")),
            seconds=told.seconds,
            tokens=int(told.answer.get("tokens_used", 0)),
        )
        if person.preferences.keep_history and told.text.strip():
            if question.is_again:
                bot.history.drop_last(incoming.lane, incoming.update_id)
            bot.history.add(incoming.lane, person.hash, incoming.update_id, question.text, told.text)


def parts_of(visit: Visit, question: Question, text: str, answer: Mapping[str, Any]) -> list[Part]:
    """The messages of an answer; one that was stopped has no `answer` object."""
    unknown = [str(each["number"]) for each in answer.get("citations", ()) if each.get("status") == "unknown"]
    notices = list(question.notices)
    if answer.get("notice"):
        notices.append(str(answer["notice"]))
    if unknown:
        notices.append(visit.text("unknown_citations"))
    if answer.get("finish_reason") in _CUT:
        notices.append(visit.text("cut"))
    if question.is_short and answer:
        notices.append(visit.text("shorter"))
    if not answer:
        notices.append(visit.text("stopped_notice" if text.strip() else "stopped"))
    return parts(
        text, sources=answer.get("sources", ()), unknown=unknown, heading=visit.text("sources"), notices=notices
    ) or parts(visit.text("apology"))


def _look_at_crowd(visit: Visit, question: Question) -> None:
    with suppress(RedisAway):
        question.is_short = visit.bot.mailbox.lengths()["waiting"] >= visit.bot.manners.crowd


def _backoff(claim: Claim) -> float:
    seconds: float = AI_WAIT * 2 ** min(claim.attempts - 1, 3)
    return seconds * random.uniform(0.75, 1.25)


def _tell_wait(visit: Visit, away: AiAway) -> None:
    """Say that it takes longer, in the placeholder; again each time, since people move up in a queue."""
    incoming, bot = visit.incoming, visit.bot
    text = visit.text("still_trying")
    if away.reason in ("ai_429", "ai_503"):
        with suppress(RedisAway):
            waiting = bot.mailbox.lengths()["waiting"]
            text = visit.text("in_queue", position=waiting + 1) if waiting else text
    message = bot.replies.place(incoming.update_id, incoming.address, visit.person.hash)
    if not bot.replies.is_open(incoming.update_id):
        return  # another worker has answered: our lease ran out
    with suppress(TelegramError):  # it is a courtesy
        bot.telegram.edit(incoming.chat, message, Part(text), keyboard=_stop_button(visit), hurry=True)


def _recent(turns: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The last turns that one request has room for, beginning with a question."""
    room, found = MAX_CONTEXT, list[Mapping[str, str]]()
    for turn in reversed(turns[-MAX_MESSAGES:]):
        room -= len(turn["content"])
        if room < 0:
            break
        found.insert(0, turn)
    return found[1:] if len(found) % 2 else found


def _stop_button(visit: Visit) -> Keyboard:
    return [[Button(visit.text("stop"), f"{STOP_DATA}:{visit.incoming.user}")]]


def _rating_buttons(visit: Visit) -> Keyboard:
    number = visit.incoming.update_id
    return [[Button("👍", f"{RATE_DATA}:1:{number}"), Button("👎", f"{RATE_DATA}:-1:{number}")]]
