"""The servers of one model, as the rest of the system sees a model in memory."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from ai_core.engine.backends.base import BackendError, ModelInfo
from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.breaker import Pace
from ai_core.engine.backends.remote.connection import checked_key
from ai_core.engine.backends.remote.facts import Facts
from ai_core.engine.backends.remote.server import Promise, Server
from ai_core.engine.backends.remote.token_counts import TokenCounts

logger = logging.getLogger(__name__)


class RemoteServers:
    """`urls` are servers of the same model, each with its path before /chat/completions. Reaches for all of them and
    goes on with those that answer; the others join when they do. Raises BackendError when none does.

    `model` is its name there (None: the only one that they serve), `context_length` a limit below what they tell, or
    in place of it where they do not. What the servers have in common is what `info` tells.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        model: str | None = None,
        api_key: str | None = None,
        context_length: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        if not urls:
            raise BackendError("urls: a remote model needs the address of one server at least")
        if api_key is not None:
            checked_key(api_key)
        self.pace = pace or Pace()
        addresses = list(dict.fromkeys(map(Address.parse, urls)))
        self._servers = [
            Server(address, api_key, model=model, context_length=context_length, pace=self.pace)
            for address in addresses
        ]
        with ThreadPoolExecutor(len(self._servers)) as pool:
            list(pool.map(Server.check, self._servers))
        facts = [server.facts for server in self._servers if server.facts is not None]
        if not facts:
            raise BackendError(f"no remote server can be used: {'; '.join(server.trouble for server in self._servers)}")
        self._info = _info(facts, sum(server.slots for server in self._servers))
        self._counts = TokenCounts(self._servers)
        for server in self._servers:
            server.watch(Promise(self._info.context_length, self._info.honours))

    @property
    def info(self) -> ModelInfo:
        return self._info

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """As many tokens as `text` has, or an estimate that errs on the high side. Their values mean nothing: the
        servers tokenise the messages themselves."""
        return [0] * self._counts.count(text, special=special)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._counts.close()

    # -- for the engine -----------------------------------------------------------------------------------------------

    @property
    def slots(self) -> int:
        """Answers at once, over the servers that work."""
        return sum(server.slots for server in self._servers)

    def claim(self, tried: Collection[Server] = ()) -> Server | None:
        """Take a slot of the least busy server, one outside `tried` if possible; None when there is none now. The
        caller gives it back with `leave`."""
        free = [
            (server in tried, load, random.random(), server)
            for server in self._servers
            if (load := server.load()) is not None
        ]
        for *_, server in sorted(free, key=lambda one: one[:3]):
            if server.claim():
                return server
        return None


def _info(facts: Sequence[Facts], slots: int) -> ModelInfo:
    first = facts[0]
    kinds = ", ".join(sorted({one.kind.value for one in facts}))
    return ModelInfo(
        name=first.model,
        description=f"remote: {kinds}",
        context_length=min(one.context_length for one in facts),
        slots=slots,
        chat_template=None,  # the servers apply theirs; what ours would add is taken off the context
        bos_token="",
        eos_token="",
        architecture="",
        size_bytes=first.size_bytes,
        quantization=first.quantization,
        honours=frozenset.intersection(*(one.honours for one in facts)),
    )
