"""One answer for several people who asked the same at the same time: computed once, read by all.

Whoever needs the next piece fetches it for everybody, so nobody depends on another one's connection. The generation is
cancelled when the last reader leaves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from ai_core.answer import Answer
from ai_core.engine.request import TextChunk
from ai_core.grounding import Source
from ai_core.knowledge.citations import Citation
from ai_core.running_answer import RunningAnswer

Event = TextChunk | Answer | None
LOOK_AT_CLIENT = 0.2  # seconds, as in RunningAnswer


class SharedAnswer:
    """Any thread may join. The condition guards every field; `next` on the source runs outside it, one at a time."""

    def __init__(self, running: RunningAnswer, ended: Callable[[Answer | None], None]) -> None:
        """`ended` is told the answer, or None where there is none, once."""
        self._running = running
        self._source = running.events()
        self._ended = ended
        self._condition = threading.Condition()
        self._told: list[TextChunk | Answer] = []
        self._error: Exception | None = None
        self._fetching = False
        self._over = False
        self._readers = 0

    def join(self) -> Reader | None:
        """One more reader; None where it is over: the last one has left, or the answer is complete or failed."""
        with self._condition:
            return None if self._over else self._reader(joined=True)

    def first(self) -> Reader:
        """The reader for whom it is computed."""
        with self._condition:
            return self._reader(joined=False)

    def _reader(self, *, joined: bool) -> Reader:
        self._readers += 1
        return Reader(self, self._running, joined=joined)

    def piece(self, place: int) -> Event:
        """The event at `place`, fetched if need be; None where none came for a moment. Raises what the answer failed
        with."""
        with self._condition:
            while True:
                if place < len(self._told):
                    return self._told[place]
                if self._error is not None:
                    raise self._error
                if not self._fetching:
                    self._fetching = True
                    break
                if not self._condition.wait(LOOK_AT_CLIENT):
                    return None
        return self._fetch()

    def leave(self) -> None:
        """One reader less."""
        with self._condition:
            self._readers -= 1
            last = self._readers == 0 and not self._over
            self._over = self._over or last
        if last:
            self._running.cancel()
            self._ended(None)

    def _fetch(self) -> Event:
        event: Event = None
        error: Exception | None = None
        try:
            event = next(self._source)
        except Exception as problem:  # noqa: BLE001 - every reader is told
            error = problem
        with self._condition:
            self._fetching = False
            if event is not None:
                self._told.append(event)
            self._error = error
            ends = (error is not None or isinstance(event, Answer)) and not self._over
            self._over = self._over or ends
            self._condition.notify_all()
        if ends:
            self._ended(event if isinstance(event, Answer) else None)
        if error is not None:
            raise error
        return event


class Reader:
    """One reader's view; has what a RunningAnswer has."""

    def __init__(self, shared: SharedAnswer, running: RunningAnswer, *, joined: bool) -> None:
        self._shared = shared
        self._joined = joined
        self._left = threading.Lock()  # taken once, by whoever leaves first
        self._check = running.check
        self.model_id = running.model_id
        self.sources: tuple[Source, ...] = running.sources
        self.grounded = running.grounded

    def check(self, text: str) -> list[Citation]:
        """See AnswerBeingTold."""
        return self._check(text)

    def cancel(self) -> None:
        """This reader does not read on; may be called twice, and from any thread."""
        if self._left.acquire(blocking=False):
            self._shared.leave()

    def events(self) -> Iterator[Event]:
        """As RunningAnswer.events, from the beginning."""
        place = 0
        try:
            while True:
                event = self._shared.piece(place)
                if event is not None:
                    place += 1
                if isinstance(event, Answer):
                    yield replace(event, cached=self._joined)
                    return
                yield event
        finally:
            self.cancel()
