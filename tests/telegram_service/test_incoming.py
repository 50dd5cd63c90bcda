"""Whatever stands in an update, reading it gives something or nothing, never an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_service.incoming import Incoming, left_by, read_update
from telegram_service.updates import lane_of, sender_of, stops

BOT = "code_du_travail_bot"
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("message_id", "from", "chat", "text", "caption", "document", "photo", "voice", "reply_to_message", "data",
         "message", "id", "type", "is_bot", "username", "language_code", "file_id", "file_size", "message_thread_id",
         "is_topic_message", "media_group_id", "new_chat_member", "status")  # fmt: skip
THINGS: st.SearchStrategy[Any] = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=8) | st.lists(inner, max_size=2),
    max_leaves=30,
)
UPDATES = st.fixed_dictionaries(
    {"update_id": st.integers(0, 2**40)},
    optional=dict.fromkeys(("message", "callback_query", "my_chat_member", "edited_message", "poll"), THINGS),
)


@settings(max_examples=120, deadline=None)
@given(UPDATES)
def test_no_update_is_an_error(update: dict[str, Any]) -> None:
    lane_of(update), sender_of(update), stops(update), left_by(update)
    incoming = read_update(update)
    if incoming is not None:
        incoming.command(BOT), incoming.addresses(BOT), incoming.question(BOT), incoming.may_go_on


def message(text: str, **more: Any) -> Incoming:
    """What somebody wrote in private."""
    sender = {"id": 7, "is_bot": False, "first_name": "Marie"}
    told = {"message_id": 1, "from": sender, "chat": {"id": 7, "type": "private"}, "text": text, **more}
    incoming = read_update({"update_id": 1, "message": told})
    assert incoming is not None
    return incoming


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/start", ("start", "")),
        ("/start payload", ("start", "payload")),
        ("/ASK  Mon préavis ?\nEt après ?", ("ask", "Mon préavis ?\nEt après ?")),
        (f"/help@{BOT.upper()}", ("help", "")),
        ("/help@another_bot", None),
        ("/", None),
        ("5/6 de mon salaire", None),
        ("Mon préavis ?", None),
    ],
)
def test_commands_are_told_from_texts(text: str, command: tuple[str, str] | None) -> None:
    assert message(text).command(BOT) == command


def test_what_bots_and_channels_write_is_for_nobody() -> None:
    bot = {"id": 8, "is_bot": True, "first_name": "Bot"}
    chat = {"id": -1, "type": "supergroup"}
    assert read_update({"update_id": 1, "message": {"from": bot, "chat": chat, "text": "/help"}}) is None
    assert read_update({"update_id": 1, "channel_post": {"chat": chat, "text": "/help"}}) is None
    assert read_update({"update_id": 1, "edited_message": {"chat": chat, "text": "/help"}}) is None


def test_only_as_many_units_as_telegram_sends_at_once_may_go_on() -> None:
    assert message("é" * 4_096).may_go_on
    assert message("😀" * 2_048).may_go_on, "units count, not characters"
    assert not message("é" * 3_000).may_go_on
