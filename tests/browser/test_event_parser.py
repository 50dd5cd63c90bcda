"""The page's parser of Server-Sent Events, run in the browser that will use it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.chat_page import ChatPage

PARSE = """
const [pieces, done] = arguments;
import("/assets/chat/sse.js").then(({ EventParser }) => {
  const parser = new EventParser();
  done(pieces.flatMap((piece) => parser.push(piece)));
});
"""
TOKEN = {"name": "token", "data": '{"text": "a"}'}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (['event: token\ndata: {"text": "a"}\n\n'], [TOKEN]),
        (list('event: token\r\ndata: {"text": "a"}\r\n\r\n'), [TOKEN]),  # a character at a time
        (['event: token\rdata: {"text": "a"}\r\rx'], [TOKEN]),
        ([": heartbeat\n\n", 'event:token\ndata:{"text": "a"}\n', "\n"], [TOKEN]),
        (["data: one\ndata: two\n\n"], [{"name": "message", "data": "one\ntwo"}]),
        (["event: token\n\n"], []),  # without data there is no event
        (['event: token\ndata: {"te'], []),  # nor when the stream ends inside one
        (["id: 3\nretry: 5\ndata\n\n"], [{"name": "message", "data": ""}]),
    ],
)
def test_events_are_cut_as_the_standard_says(page: ChatPage, pieces: list[str], expected: list[dict[str, Any]]) -> None:
    page.open(None)
    assert page.driver.execute_async_script(PARSE, pieces) == expected
