"""The judge of the fault suite tells a loss, a double, a wrong order and a dishonest error when it sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.judge import Calls, Chat, Post, judge

CHATS = [Chat(("a", "b", "c"), ("a", "b", "c")), Chat(("a",), ("a",))]
POST = Post(("1", "2"), ("2", "1"), ("1", "2"))
CALLS = Calls(sent=5, answered=3, wrong=0, refused={503: 1, 0: 1}, stored=4)


def test_where_everything_is_answered_once_nothing_is_broken() -> None:
    verdict = judge(CHATS, POST, CALLS)
    assert (verdict.telegram, verdict.mail, verdict.api, verdict.broken) == (4, 2, 3, [])


@pytest.mark.parametrize(
    ("answered", "broken"),
    [
        (("a", "c"), ["1 Telegram questions lost"]),
        ((), ["3 Telegram questions lost"]),
        (("a", "b", "b", "c"), ["1 Telegram questions answered twice"]),
        (("b", "a", "c"), ["1 chats out of order"]),
        (("a", "b", "c", "apology"), ["1 Telegram messages that answer nothing asked"]),
        (("a", "b", "apology"), ["1 Telegram questions lost", "1 Telegram messages that answer nothing asked"]),
        (("a", "b", "c", "a"), ["1 Telegram questions answered twice", "1 chats out of order"]),
    ],
)
def test_a_chat_in_which_something_is_wrong(answered: tuple[str, ...], broken: list[str]) -> None:
    assert judge([Chat(("a", "b", "c"), answered)], POST, CALLS).broken == broken


@pytest.mark.parametrize(
    ("post", "broken"),
    [
        (replace(POST, replies=("1",)), ["1 mails without replies"]),
        (replace(POST, replies=("1", "1", "2")), ["1 replies too many"]),
        (replace(POST, replies=("1", "2", "3")), ["1 replies to mails that were not taken"]),
        (replace(POST, copies=("1",)), ["1 mails without copies in Sent"]),
        (replace(POST, copies=("1", "2", "2")), ["1 copies in Sent too many"]),
        (Post(("1", "1"), ("1",), ("1",)), []),  # handed in twice, since the first 250 did not arrive
    ],
)
def test_a_mailbox_in_which_something_is_wrong(post: Post, broken: list[str]) -> None:
    assert judge(CHATS, post, CALLS).broken == broken


@pytest.mark.parametrize(
    ("calls", "broken"),
    [
        (replace(CALLS, stored=2), ["1 API answers not on record"]),
        (replace(CALLS, stored=2, unsure=1), []),
        (replace(CALLS, stored=6), ["1 API answers on record that nobody asked for"]),
        (replace(CALLS, wrong=1), ["1 API answers about something else"]),
        (replace(CALLS, refused={500: 2, 429: 1}), ["2 API errors 500"]),
    ],
)
def test_an_api_in_which_something_is_wrong(calls: Calls, broken: list[str]) -> None:
    assert judge(CHATS, POST, calls).broken == broken
