"""One message from its raw bytes to its outcome: policy, breaker, scan, text, thread, AI core, letter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

import peewee

from mail_service import texts
from mail_service.answering import Answer, AnswererAway, Ask, QuestionRefused
from mail_service.attachments import AttachmentReader, Infected, ReadFile, notices_on
from mail_service.authentication import Dns, is_doubtful
from mail_service.breaker import Limits, admit
from mail_service.compose import Envelope, compose, recipient_of
from mail_service.message_ids import our_id, references_for
from mail_service.outcomes import Answered, Failed, Frozen, Held, Outcome, Refused
from mail_service.parsing import IncomingMail, Unparsable, parse_mail
from mail_service.people import People, bare_subject
from mail_service.policy import Rules, Verdict, verdict_on
from mail_service.question import question_of
from mail_service.rendering import Letter, Templates
from mail_service.scanning import ScannerAway
from mail_service.states import note
from mail_service.storage import Message, utc_now
from mail_service.threads import earlier_turns, thread_of

UNPARSABLE, EMPTY, NOTHING_READABLE, ENCRYPTED = "unparsable", "empty", "nothing_readable", "encrypted"
QUESTION_REFUSED, REPEATED_FAILURE, DOUBTFUL = "question_refused", "repeated_failure", "authentication_doubt"
SCANNER_AWAY = "scanner_away"


class Answerer(Protocol):
    """Who knows the answer."""

    def answer(self, ask: Ask) -> Answer:
        """Raises AnswererAway and QuestionRefused."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a message is tried: after `retry` again, `max_attempts` times when trying itself fails,
    until `give_up` when something else is away."""

    retry: timedelta
    max_attempts: int
    give_up: timedelta


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are."""

    address: str
    domain: str


class Responder:
    """Finds the outcome of a message. Holds no state of its own: any worker can go on where another one ended."""

    def __init__(
        self,
        database: peewee.Database,
        *,
        identity: Identity,
        rules: Rules,
        limits: Limits,
        patience: Patience,
        people: People,
        reader: AttachmentReader,
        answerer: Answerer,
        templates: Templates,
        dns: Dns | None = None,
    ) -> None:
        self._database = database
        self._identity = identity
        self._rules = rules
        self._limits = limits
        self._patience = patience
        self._people = people
        self._reader = reader
        self._answerer = answerer
        self._templates = templates
        self._dns = dns

    def respond(self, message: Message) -> Outcome:
        """What becomes of `message`, which is claimed. Raises ClaimLost."""
        if message.attempts > self._patience.max_attempts + 1:
            return Failed(REPEATED_FAILURE, None)  # it breaks even who only wants to apologise for it
        raw = (message.raw or "").encode("latin-1")
        try:
            mail = parse_mail(raw)
        except Unparsable:
            return Failed(UNPARSABLE, None)
        verdict = verdict_on(mail, self._rules)
        if verdict is not None:
            return Refused(verdict)
        if not message.admitted:
            if is_doubtful(raw, mail.message, self._rules.authserv_id, self._dns):
                return Held(DOUBTFUL, None)
            wait = admit(self._database, message, self._limits)
            if wait is not None:
                return Held(wait.reason.value, wait.until)
        if message.attempts > self._patience.max_attempts:
            return self._failed(message, mail, REPEATED_FAILURE)
        return self._answer(message, mail)

    def apology_for(self, message: Message, reason: str) -> Failed:
        """The apology for an answer that could not be delivered."""
        try:
            return self._failed(message, parse_mail((message.raw or "").encode("latin-1")), reason)
        except Unparsable:
            return Failed(reason, None)

    def _answer(self, message: Message, mail: IncomingMail) -> Outcome:
        if mail.is_encrypted:
            return self._failed(message, mail, ENCRYPTED)
        try:
            files = self._reader.read(mail.attachments)
        except Infected:
            return Refused(Verdict.INFECTED)
        except ScannerAway:
            return self._away(message, mail, SCANNER_AWAY, None)
        question, shortened = question_of(mail, files)
        if not question:
            return self._failed(message, mail, NOTHING_READABLE if mail.attachments else EMPTY)
        self._place_in_thread(message, mail)
        ask = Ask(
            question=question,
            subject=bare_subject(mail.subject),
            thread_id=message.thread,
            person=message.person,
            earlier=earlier_turns(message),
            request_id=f"mail-{message.id}-{message.attempts}",
        )
        try:
            answer = self._answerer.answer(ask)
        except AnswererAway as away:
            return self._away(message, mail, away.reason, away.retry_after)
        except QuestionRefused:
            return self._failed(message, mail, QUESTION_REFUSED)
        notices = [
            *answer.notices,
            *notices_on(files, len(mail.attachments)),
            *([texts.SHORTENED] if shortened else ()),
        ]
        return self._answered(message, mail, question, answer, files, notices)

    def _place_in_thread(self, message: Message, mail: IncomingMail) -> None:
        if not message.thread:
            assert mail.sender is not None
            message.thread = thread_of(mail, self._people.hashes_of(mail.sender.address), message.subject_key)
            note(message, thread=message.thread)

    def _answered(
        self,
        message: Message,
        mail: IncomingMail,
        question: str,
        answer: Answer,
        files: Sequence[ReadFile],
        notices: Sequence[str],
    ) -> Answered:
        now = datetime.now(timezone.utc)
        letter = Letter(
            ai_response=answer.text,
            sender_name=_name(mail),
            original_subject=mail.subject,
            response_date=now,
            thread_id=message.thread,
            sources=answer.sources,
            notices=notices,
        )
        frozen = self._frozen(message, mail, "answer", answer.subject, letter)
        ids = [*([mail.message_id] if mail.message_id else []), *mail.references, frozen.message_id]
        return Answered(frozen, question, answer.text, files, ids)

    def _away(self, message: Message, mail: IncomingMail, reason: str, retry_after: float | None) -> Outcome:
        """Hold until what is away may be back; a person who has waited for too long is told."""
        now = utc_now()
        if now - message.received_at > self._patience.give_up:
            return self._failed(message, mail, reason)
        wait = max(self._patience.retry, timedelta(seconds=retry_after or 0))
        return Held(reason, now + wait * random.uniform(1.0, 1.5))

    def _failed(self, message: Message, mail: IncomingMail, reason: str) -> Failed:
        letter = Letter(
            ai_response=texts.apology(reason),
            sender_name=_name(mail),
            original_subject=mail.subject,
            response_date=datetime.now(timezone.utc),
            thread_id=message.thread or message.identity[:16],
        )
        subject = f"Re: {bare_subject(mail.subject)}" if mail.subject else texts.SUBJECT_WITHOUT_ONE
        return Failed(reason, self._frozen(message, mail, "apology", subject, letter))

    def _frozen(self, message: Message, mail: IncomingMail, kind: str, subject: str, letter: Letter) -> Frozen:
        recipient = recipient_of(mail, self._rules.own_addresses)
        message_id = our_id(self._people.signing_key, message.identity, kind, self._identity.domain)
        envelope = Envelope(
            sender=self._identity.address,
            recipient=recipient,
            subject=subject,
            message_id=message_id,
            in_reply_to=mail.message_id,
            references=references_for(mail.references, mail.in_reply_to, mail.message_id),
            date=letter.response_date,
        )
        html, text = self._templates.render(kind, letter)
        return Frozen(kind, message_id, recipient.address, compose(envelope, html, text))


def _name(mail: IncomingMail) -> str:
    name = mail.sender.name if mail.sender else ""
    return "" if "@" in name or len(name) > 60 else name
