"""Raw mail -> who wrote what to whom. Real mail breaks every rule: what cannot be read at all is Unparsable, the rest
is read as far as it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from common.extraction.charset import decoded
from mail_service.addresses import Address, addresses_in
from mail_service.header_text import clean, decoded_header, header_value, header_values
from mail_service.html_text import text_of_html
from mail_service.message_ids import ids_in
from mail_service.texts import NO_NAME

MAX_PARTS = 200
MAX_DEPTH = 20
MAX_TEXT = 200_000  # characters of one text part
MAX_SUBJECT = 500
NO_TEXT_WITHOUT_HTML = re.compile(
    r"(?:support|prend|affich|lire|view|display|read).{0,60}\bhtml\b", re.IGNORECASE | re.DOTALL
)
FORWARD_SUBJECT = re.compile(r"^\s*(?:tr|fwd?|wg|i)\s*:", re.IGNORECASE)
# Parts that say nothing to read: signatures, invitations, cards, what a list added.
IGNORED_TYPES = frozenset({
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature", "application/ics",
    "application/pgp-keys", "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/x-amp-html",
    "text/enriched", "text/rfc822-headers", "message/delivery-status", "message/disposition-notification",
})  # fmt: skip
# Python's parser takes the square of their length for the parameters in these.
LONG_CONTENT_HEADER = re.compile(rb"^content-[a-z-]+:(?:[^\n]|\n[ \t]){10000}", re.IGNORECASE | re.MULTILINE)
ENCRYPTED_TYPES = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
PKCS7_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})


class Unparsable(Exception):
    """Not a message that anybody could read."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as it came; its name and type are what the sender says."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class IncomingMail:
    """One message. `senders` are the addresses in From: one, in honest mail. `text` holds quotations still; `previous`
    mails attached to it are part of it. `message` gives the headers that policies look at."""

    message: Message
    message_id: str | None
    senders: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    recipients: tuple[Address, ...]
    subject: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    text: str
    is_forward: bool
    is_encrypted: bool
    attachments: tuple[Attachment, ...]

    @property
    def sender(self) -> Address | None:
        """Who wrote it, where there is exactly one."""
        return self.senders[0] if len(self.senders) == 1 else None


def parse_mail(raw: bytes) -> IncomingMail:
    """Read `raw`. Raises Unparsable."""
    message = parse_headers(raw)
    collected = _Collected()
    try:
        collected.take(message)
    except RecursionError:
        raise Unparsable("nested too deeply") from None
    subject = header_value(message, "Subject")[:MAX_SUBJECT]
    return IncomingMail(
        message=message,
        message_id=next(iter(ids_in(header_values(message, "Message-ID"))), None),
        senders=addresses_in(header_values(message, "From")),
        reply_to=addresses_in(header_values(message, "Reply-To")),
        recipients=addresses_in(header_values(message, "To") + header_values(message, "Cc")),
        subject=subject,
        in_reply_to=ids_in(header_values(message, "In-Reply-To")),
        references=ids_in(header_values(message, "References")),
        text="\n\n".join(filter(None, collected.texts)),
        is_forward=bool(FORWARD_SUBJECT.match(subject)) or collected.holds_message,
        is_encrypted=collected.is_encrypted,
        attachments=tuple(collected.attachments),
    )


def parse_headers(raw: bytes) -> Message:
    """The message of `raw`, its parts found but not decoded. Raises Unparsable."""
    if LONG_CONTENT_HEADER.search(raw):
        raise Unparsable("header too long")
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise Unparsable(type(error).__name__) from error
    if not message.keys():
        raise Unparsable("no header")
    return message


def is_urgent(message: Message) -> bool:
    """Whether the sender marked it so."""
    priority = header_value(message, "X-Priority")[:1]
    return priority in ("1", "2") or header_value(message, "Importance").lower() == "high"


class _Collected:
    """What a walk through the parts brings."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.attachments: list[Attachment] = []
        self.holds_message = False
        self.is_encrypted = False
        self._parts = 0

    def take(self, part: Message, depth: int = 0) -> None:
        """Read `part` and what is inside it."""
        self._parts += 1
        if self._parts > MAX_PARTS or depth > MAX_DEPTH:
            raise Unparsable("too many parts")
        kind = _content_type(part)
        if kind in ENCRYPTED_TYPES or (kind in PKCS7_TYPES and _parameter(part, "smime-type") != "signed-data"):
            self.is_encrypted = True
        elif kind == "message/rfc822":
            self._take_message(part, depth)
        elif part.is_multipart():
            self._take_multipart(part, kind, depth)
        elif kind not in IGNORED_TYPES:
            self._take_leaf(part, kind)

    def _take_multipart(self, part: Message, kind: str, depth: int) -> None:
        children = list(_children(part))
        if kind == "multipart/alternative":
            self._take_alternative(children, depth)
            return
        if kind == "multipart/signed":  # RFC 1847, section 2.1: the first part is what was signed
            children = children[:1]
        for child in children:
            self.take(child, depth + 1)

    def _take_alternative(self, children: list[Message], depth: int) -> None:
        """The plain text where it says something, else the richest part (RFC 2046, section 5.1.4: the last)."""
        plain = [child for child in children if _content_type(child) == "text/plain"]
        others = [child for child in children if _content_type(child) not in (*IGNORED_TYPES, "text/plain")]
        says = plain and (text := _text(plain[0])).strip() and not (others and NO_TEXT_WITHOUT_HTML.search(text[:500]))
        for child in plain[:1] if says else others[-1:]:
            self.take(child, depth + 1)
        if says:  # a multipart/related beside the text may hold files
            for child in others:
                if child.is_multipart():
                    self._take_files(child, depth + 1)

    def _take_files(self, part: Message, depth: int) -> None:
        for child in _children(part):
            if child.is_multipart():
                if depth < MAX_DEPTH:
                    self._take_files(child, depth + 1)
            elif not _content_type(child).startswith("text/") and _disposition(child) == "attachment":
                self.take(child, depth + 1)

    def _take_message(self, part: Message, depth: int) -> None:
        self.holds_message = True
        for inner in _children(part):
            head = [f"{name} : {value}" for name in ("From", "Date", "Subject") if (value := header_value(inner, name))]
            self.texts.append("---------- Message transféré ----------\n" + "\n".join(head))
            self.take(inner, depth + 1)

    def _take_leaf(self, part: Message, kind: str) -> None:
        name = _file_name(part)
        if kind.startswith("multipart/"):  # one without a boundary: its parts cannot be told apart
            self.texts.append(_text(part))
            return
        if kind in ("text/plain", "text/html") and _disposition(part) != "attachment" and not name:
            text = _text(part)
            self.texts.append(text_of_html(text) if kind == "text/html" else text)
            return
        data = _bytes(part)
        if data and not _is_decoration(part, kind, data):
            self.attachments.append(Attachment(name or NO_NAME, kind, data))


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Message))


def _is_decoration(part: Message, kind: str, data: bytes) -> bool:
    """Logos of signatures: small pictures that the HTML shows, not files that somebody attached."""
    return (
        kind.startswith("image/") and "Content-ID" in part and _disposition(part) != "attachment" and len(data) < 60_000
    )


def _content_type(part: Message) -> str:
    return part.get_content_type().lower()


def _disposition(part: Message) -> str:
    return header_value(part, "Content-Disposition").partition(";")[0].strip().lower()


def _parameter(part: Message, name: str) -> str:
    try:
        return str(part.get_param(name, "")).lower()
    except (ValueError, LookupError, TypeError):
        return ""


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename("")
    except (ValueError, LookupError, TypeError, AttributeError):
        return NO_NAME
    return clean(decoded_header(name)).replace("\\", "/").rpartition("/")[2][:100]


def _bytes(part: Message) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    data = _bytes(part)
    try:
        charset = part.get_content_charset() or "ascii"
        text = data.decode(charset)
    except (ValueError, LookupError, TypeError, AttributeError):
        # The charset is missing, unknown or wrong: the bytes know better.
        text = decoded(data)
    return text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")
