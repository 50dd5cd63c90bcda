from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ai_core.engine.text_stream import TextStream


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_any_cut_of_the_bytes_gives_the_same_text(text: str, cuts: list[int]) -> None:
    stream = TextStream()
    data = text.encode("utf-8", "replace")
    assert "".join(stream.feed(piece) for piece in pieces(data, cuts)) + stream.flush() == data.decode()


@given(st.text("ab€"), st.lists(st.text("ab€", min_size=1), max_size=3), st.lists(st.integers(0, 1000)))
def test_the_text_ends_at_the_first_stop_string_however_it_is_cut(text: str, stop: list[str], cuts: list[int]) -> None:
    stream = TextStream(stop)
    shown = ""
    for piece in pieces(text.encode(), cuts):
        shown += stream.feed(piece)
        assert not any(string in shown for string in stop)
    shown += stream.flush()
    assert stream.stopped is any(string in text for string in stop)
    assert text.startswith(shown)
    if not stream.stopped:
        assert shown == text


def test_a_character_waits_for_its_last_byte() -> None:
    stream = TextStream()
    assert [stream.feed(bytes([byte])) for byte in "é€".encode()] == ["", "é", "", "", "€"]


def test_text_before_a_stop_string_is_shown_and_nothing_after_it() -> None:
    stream = TextStream(["\n\nQuestion"])
    assert stream.feed(b"Oui.\n\nQues") == "Oui."
    assert stream.feed(b"tion : encore") == ""
    assert stream.stopped
    assert stream.feed(b" suite") == ""


def test_the_beginning_of_a_stop_string_is_shown_when_it_was_none() -> None:
    stream = TextStream(["</s>"])
    assert stream.feed(b"a </") == "a "
    assert stream.feed(b"b") == "</b"
    assert stream.feed(b" <") == " "
    assert stream.flush() == "<"


def test_half_a_character_at_the_end_is_dropped_and_a_broken_one_is_marked() -> None:
    stream = TextStream()
    assert stream.feed(b"a\xff\xc3") == "a\N{REPLACEMENT CHARACTER}"
    assert stream.flush() == ""
