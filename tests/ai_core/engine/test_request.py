from __future__ import annotations

import pytest

from ai_core.engine.request import Finished, FinishReason, TextChunk
from tests.ai_core.engine.driving import request


def test_next_event_gives_nothing_when_nothing_came_in_time() -> None:
    asked = request()
    assert asked.next_event(0.001) is None
    asked.deliver(TextChunk("a"))
    assert asked.next_event(0.001) == TextChunk("a")


def test_events_end_after_the_last_one() -> None:
    asked = request()
    last = Finished(FinishReason.STOP, 10, 1, 0)
    asked.deliver(TextChunk("a"))
    asked.deliver(last)
    assert list(asked.events()) == [TextChunk("a"), last]


def test_leaving_the_events_early_cancels_the_request() -> None:
    asked = request()
    asked.deliver(TextChunk("a"))
    for _ in asked.events():
        break
    assert asked.cancelled


def test_a_shared_prefix_longer_than_the_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="shared_prefix"):
        request("abc", shared=4)
