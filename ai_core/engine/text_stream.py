"""From the bytes of tokens to text that may be shown: whole characters, and never a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Holds back what may still become a longer character or a stop string, on which the text ends."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.stopped = False

    def feed(self, piece: bytes) -> str:
        """The text that became certain with `piece`, the bytes of one token; empty once a stop string was met."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(piece)
        cut = self._first_stop(text)
        if cut is not None:
            self.stopped, self._held = True, ""
            return text[:cut]
        certain = len(text) - self._possible_stop(text)
        self._held = text[certain:]
        return text[:certain]

    def flush(self) -> str:
        """What was held back, once the answer has ended without its stop string. Half a character is dropped."""
        held, self._held = self._held, ""
        return held

    def _first_stop(self, text: str) -> int | None:
        found = [position for stop in self._stop if (position := text.find(stop)) >= 0]
        return min(found, default=None)

    def _possible_stop(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        return max((_overlap(text, stop) for stop in self._stop), default=0)


def _overlap(text: str, stop: str) -> int:
    lengths = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
