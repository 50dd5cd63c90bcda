"""One request on its way through the servers, and what its submitter has been told."""

from __future__ import annotations

import threading

from ai_core.engine.backends.remote.completion import Completion, Usage
from ai_core.engine.backends.remote.connection import Connection
from ai_core.engine.backends.remote.server import Server
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, TextChunk


class RemoteAnswer:
    """Whoever claims its end first ends it: the thread that reads from the server, or the one that watches over
    cancelling and deadlines. The lock guards that, and the order of what is delivered."""

    def __init__(self, request: GenerationRequest, rank: float) -> None:
        self.request = request
        self.rank = rank
        """Place in the queue: the lower, the earlier."""
        self.tried: list[Server] = []
        """Servers that failed it, in turn."""
        self.turned_away = 0
        """How often a server was busy."""
        self.started: float | None = None
        self.begun = False
        """Whether some of the answer has been delivered, so that no other server can take it over."""
        self.ended = False
        self.usage = Usage(len(request.prompt), 0, 0)
        """What is known of it so far; the prompt's tokens are ours until the server tells."""
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def attach(self, connection: Connection) -> bool:
        """Begin an attempt, with the connection to abort; False when the answer has ended meanwhile."""
        with self._lock:
            self._connection = connection
            self.usage = Usage(len(self.request.prompt), 0, 0)
            return not self.ended

    def deliver(self, chunk: TextChunk) -> None:
        with self._lock:
            if not self.ended:
                self.begun = True
                self.request.deliver(chunk)

    def note(self, completion: Completion) -> None:
        """Keep count, for an answer that ends before its server tells."""
        self.usage = completion.usage or Usage(self.usage.prompt, completion.chunks, 0)

    def claim_end(self) -> bool:
        """Whether the caller is the first to end it, and so the one to call `finish`."""
        with self._lock:
            first, self.ended = not self.ended, True
            return first

    def finish(self, reason: FinishReason, error: str | None = None) -> None:
        """Tell the submitter, and give up the connection."""
        usage = self.usage
        self.request.deliver(Finished(reason, usage.prompt, usage.completion, usage.reused, error))
        with self._lock:
            if self._connection is not None:
                self._connection.abort()
