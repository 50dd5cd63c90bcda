"""People as we know them: by a keyed hash of their channel and their id there, never by the id itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ai_core.usage import UsageLog
from common.crypto import person_hash
from common.retired_keys import RetiredKeys

Forget = Callable[[str], int]
"""Drops what a part keeps of the person with this hash; returns how much there was."""


class People:
    """Hashes people, and brings together what the parts keep of one of them.

    A person has one hash for each secret, those that are gone included; what is written has the first.
    """

    def __init__(
        self, secrets: Sequence[str], usage: UsageLog, others: Mapping[str, Forget], retired: RetiredKeys
    ) -> None:
        self._secrets = tuple(secrets)
        self._retired = retired
        self._usage = usage
        self._others = dict(others)

    def include(self, name: str, forget: Forget) -> None:
        """One more part that keeps something of people."""
        self._others[name] = forget

    def hash_of(self, channel: str, user_id: str) -> str:
        """What stands for a person in what we write."""
        return person_hash(self._secrets[0], channel, user_id)

    def hashes_of(self, channel: str, user_id: str) -> list[str]:
        """All that may stand for a person in what was written."""
        own = [person_hash(secret, channel, user_id) for secret in self._secrets]
        return own + self._retired.hashes_of(channel, user_id)

    def export(self, channel: str, user_id: str) -> list[dict[str, Any]]:
        """The requests of a person, oldest first. Cached answers hold no question and are found by erasure only."""
        return self._usage.of(self.hashes_of(channel, user_id))

    def erase(self, channel: str, user_id: str) -> dict[str, int]:
        """Forget a person; what there was of them, by part. Requests stay in the sums, with nobody's name on them."""
        hashes = self.hashes_of(channel, user_id)
        erased = {"requests": self._usage.forget(hashes)}
        for name, forget in self._others.items():
            erased[name] = sum(forget(person) for person in hashes)
        return erased
