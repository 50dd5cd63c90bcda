"""Events come out whole however the network cut them, and none can grow without bound."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.engine.backends.remote.errors import ServerFailed
from ai_core.engine.backends.remote.event_stream import MOST_BYTES, EventStream


def events(*received: bytes) -> list[bytes]:
    stream = EventStream()
    return [event for piece in received for event in stream.feed(piece)]


def test_comments_names_and_ids_are_no_data() -> None:
    assert events(b": ping\n\nevent: message\nid: 1\nretry: 3\ndata: a\n\n\n") == [b"a"]


def test_an_event_of_several_lines_is_one() -> None:
    assert events(b"data: a\r\ndata:b\r\n\r\n") == [b"a\nb"]


def test_a_half_event_is_not_an_event() -> None:
    assert events(b"data: a\n\ndata: b") == [b"a"]


@given(st.lists(st.text("é€😀a: ", min_size=1, max_size=20), max_size=5), st.lists(st.integers(0, 200), max_size=20))
def test_any_cut_gives_the_same_events(texts: list[str], cuts: list[int]) -> None:
    whole = b"".join(b"data: " + text.encode() + b"\r\n\r\n" for text in texts)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    assert events(*pieces) == [text.encode() for text in texts]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: " + b"x" * 1000 + b"\n"])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    endless = [piece] * MOST_BYTES
    with pytest.raises(ServerFailed, match="too long"):
        events(*endless)
