"""People as the service knows them: by keyed hashes of their addresses, under every secret that is still in use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from common.crypto import person_hash
from common.retired_keys import RetiredKeys

CHANNEL = "mail"
_MARKS = re.compile(r"^(?:\s*(?:re|rép|ref|tr|fwd?|aw|sv|antw)\s*(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)


class People:
    """Hashes of addresses and subjects. The newest secret writes; all of them find, and those that are gone."""

    def __init__(self, secrets: Sequence[str], retired: RetiredKeys) -> None:
        self._secrets = tuple(secrets)
        self._retired = retired
        self.signing_key = hashlib.sha256(b"mail message ids " + secrets[0].encode()).digest()

    def hash_of(self, address: str) -> str:
        """What stands for the person with this (normalised) address."""
        return person_hash(self._secrets[0], CHANNEL, address)

    def hashes_of(self, address: str) -> list[str]:
        """All that may stand for them: rows written before a rotation carry older ones."""
        own = [person_hash(secret, CHANNEL, address) for secret in self._secrets]
        return own + self._retired.hashes_of(CHANNEL, address)

    def subject_key(self, address: str, subject: str) -> str:
        """What stands for a subject of this person, answers and forwards included."""
        return person_hash(self._secrets[0], "mail subject", f"{address} {bare_subject(subject).lower()}")


def bare_subject(subject: str) -> str:
    """`subject` without Re:, TR: and the like."""
    return _MARKS.sub("", " ".join(subject.split()))


def identity_of(message_id: str | None, sender: str, raw: bytes) -> str:
    """What makes a message that very message: its Message-ID and who wrote it, so that nobody can use up the id of
    somebody else's; without a Message-ID, all of it."""
    if message_id is None:
        return hashlib.sha256(b"content " + raw).hexdigest()
    return hashlib.sha256(f"id {sender} {message_id}".encode("utf-8", "surrogatepass")).hexdigest()
