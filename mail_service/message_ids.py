"""Message-IDs (RFC 5322, section 3.6.4): those that come in, and ours, which say the same again after a crash."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

MAX_REFERENCES = 50  # the last ones; RFC 5322 sets no limit, servers do
_ID = re.compile(r"<([^<>\s]{1,250})>")


def ids_in(headers: Iterable[str]) -> tuple[str, ...]:
    """The ids in these header values, without their angle brackets, in order, each once."""
    found = (match for header in headers for match in _ID.findall(header) if match.isascii())
    return tuple(dict.fromkeys(found))


def our_id(secret: bytes, identity: str, kind: str, domain: str) -> str:
    """The id of our reply of this `kind` to the message `identity`: always the same, and nobody else can make it."""
    digest = hmac.new(secret, f"{kind} {identity}".encode(), hashlib.sha256).hexdigest()[:32]
    return f"{digest}@{domain}"


def references_for(references: Iterable[str], in_reply_to: Iterable[str], message_id: str | None) -> tuple[str, ...]:
    """The References of a reply: those of its parent, else its In-Reply-To, then the parent itself."""
    earlier = tuple(references) or tuple(in_reply_to)
    chain = tuple(dict.fromkeys((*earlier, *((message_id,) if message_id else ()))))
    if len(chain) <= MAX_REFERENCES:
        return chain
    return (chain[0], *chain[1 - MAX_REFERENCES :])  # the first one names the thread
