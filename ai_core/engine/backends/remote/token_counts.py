"""How many tokens a text is: asked of a server, remembered, or estimated.

Only the number matters here, to fit prompts into the context: the server applies its own chat template to the messages
and tokenises them itself. Each text costs a round trip once; articles and system prompts come again and again.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from ai_core.engine.backends.remote.connection import Connection
from ai_core.engine.backends.remote.dialect import tokenize_body
from ai_core.engine.backends.remote.errors import RemoteError
from ai_core.engine.backends.remote.facts import tokens_of
from ai_core.engine.backends.remote.server import Server

logger = logging.getLogger(__name__)

SECONDS = 1.0  # for an answer of /tokenize
REMEMBERED = 20_000  # texts: some megabytes
IDLE_CONNECTIONS = 8
PAUSE = 5.0  # seconds without asking after a failure: a prompt is fitted with dozens of questions

_LETTERS_AND_SPACES = re.compile(r"[^\W\d_]|\s")
BYTES_PER_TOKEN = 3


def estimate(text: str) -> int:
    """Tokens of `text` without a tokenizer: one for three bytes of letters and spaces, one for each other byte.

    French has 3.3 bytes and more a token with the vocabularies of Llama 2 and Mistral, above 4 with later ones, so this
    errs on the high side for it; an exotic script may exceed it, and then the server refuses the prompt."""
    others = len(_LETTERS_AND_SPACES.sub("", text).encode("utf-8", "replace"))
    letters = len(text.encode("utf-8", "replace")) - others
    return others + -(-letters // BYTES_PER_TOKEN)


class TokenCounts:
    """Safe from any thread. What is remembered are digests and numbers, no text."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._idle: list[tuple[Server, Connection]] = []
        self._silent_until = 0.0

    def count(self, text: str, *, special: bool) -> int:
        """Exact where a server tells, else `estimate`. Control tokens in `text` count as such only with `special`."""
        if not text:
            return 0
        key = hashlib.blake2b(
            text.encode("utf-8", "replace"), digest_size=16, salt=b"special" if special else b""
        ).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        counted = self._ask(text, special=special)
        if counted is None:
            return estimate(text)
        with self._lock:
            self._known[key] = counted
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return counted

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _ask(self, text: str, *, special: bool) -> int | None:
        if time.monotonic() < self._silent_until:
            return None
        server, connection = self._connection()
        if server is None or connection is None or server.facts is None:
            return None
        facts, root = server.facts, server.address.root
        try:
            body = tokenize_body(facts.kind, facts.model, text, special=special)
            tokens = tokens_of(server.address, connection.ask(f"{root}/tokenize", body, seconds=SECONDS))
        except RemoteError as error:
            logger.warning("tokens are estimated: %s", error)
            self._silent_until = time.monotonic() + PAUSE
            connection.close()
            return None
        with self._lock:
            if len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append((server, connection))
                return len(tokens)
        connection.close()
        return len(tokens)

    def _connection(self) -> tuple[Server | None, Connection | None]:
        with self._lock:
            while self._idle:
                server, connection = self._idle.pop()
                if server.slots:
                    return server, connection
                connection.close()
        able = [server for server in self._servers if server.slots and server.facts and server.facts.tokenizes]
        return (able[0], able[0].connect()) if able else (None, None)
