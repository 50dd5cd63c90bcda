"""Server-sent events from bytes, however the network cut them (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

from ai_core.engine.backends.remote.errors import ServerFailed

MOST_BYTES = 256 * 1024  # of one event: twenty log-probabilities for each of a few tokens are some kilobytes


class EventStream:
    """Collects the data of events. Lines end with LF or CRLF; a half event at the end of the stream is dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> list[bytes]:
        """The data of the events that `received` completes. Raises ServerFailed for one that is too long."""
        self._buffer += received
        events: list[bytes] = []
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._searched = 0
            if line:
                self._take(line)
            elif self._data:
                events.append(b"\n".join(self._data))
                self._data, self._size = [], 0
        self._searched = len(self._buffer)
        if self._searched + self._size > MOST_BYTES:
            raise ServerFailed("an event of the stream is too long")
        return events

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
