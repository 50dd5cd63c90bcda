"""The reply as it goes over the wire: made once, frozen in the outbox, the same bytes however often it is tried."""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP

from mail_service import texts
from mail_service.addresses import Address, same_mailbox
from mail_service.parsing import IncomingMail

LONGEST_SUBJECT = 250
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a reply goes to and what it answers. Message-IDs are without angle brackets."""

    sender: str
    recipient: Address
    subject: str
    message_id: str
    in_reply_to: str | None
    references: Sequence[str]
    date: datetime


def recipient_of(mail: IncomingMail, own_addresses: Sequence[str]) -> Address:
    """Who is answered: the sender, or their Reply-To where it is safe: one address, of the same domain, not ours. Else
    somebody could have us write to a third person."""
    assert mail.sender is not None
    if len(mail.reply_to) == 1:
        wanted = mail.reply_to[0]
        if wanted.domain == mail.sender.domain and not any(same_mailbox(wanted.address, own) for own in own_addresses):
            return Address(wanted.name or mail.sender.name, wanted.address)
    return mail.sender


def compose(envelope: Envelope, html: str, text: str) -> bytes:
    """The whole message, multipart/alternative, ASCII only."""
    message = EmailMessage(policy=SMTP)
    message["From"] = HeaderAddress(texts.SENDER_NAME, addr_spec=envelope.sender)
    message["To"] = HeaderAddress(_safe_name(envelope.recipient.name), addr_spec=envelope.recipient.address)
    message["Subject"] = envelope.subject[:LONGEST_SUBJECT]
    message["Date"] = email.utils.format_datetime(envelope.date)
    message["Auto-Submitted"] = "auto-replied"  # RFC 3834, section 5
    message["X-Auto-Response-Suppress"] = "All"  # what Exchange looks at
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return _ids(envelope) + message.as_bytes()


def _ids(envelope: Envelope) -> bytes:
    """The threading headers, one id on a line. Python's own folding would make encoded words of long ids, which no
    mail program reads as ids (RFC 2047, section 5)."""
    headers = {"Message-ID": [envelope.message_id], "References": envelope.references}
    if envelope.in_reply_to:
        headers["In-Reply-To"] = [envelope.in_reply_to]
    lines = [
        f"{name}: " + "\r\n ".join(f"<{message_id}>" for message_id in ids) + "\r\n"
        for name, ids in headers.items()
        if ids
    ]
    return "".join(lines).encode("ascii")


def _safe_name(name: str) -> str:
    # A name that looks like an address confuses people and mail programs.
    return "" if "@" in name else name[:LONGEST_NAME]
