"""The methods of the Bot API that the bot uses, as https://core.telegram.org/bots/api has them; what they refuse stands
in telegram_rules. A parameter that a method does not have is refused, where Telegram ignores it."""

from __future__ import annotations

from typing import Any

from tests import telegram_rules as rules
from tests.telegram_account import Account
from tests.telegram_calls import Told, Upload, method
from tests.telegram_chats import Chat, Chats, Shown
from tests.telegram_faults import Rates
from tests.telegram_rules import bad
from tests.telegram_updates import Updates

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"
ANYWHERE = ("message_thread_id", "reply_parameters", "reply_markup", "disable_notification", "protect_content")


class Methods(Account):
    """Called with the parameters as sent, by any thread, one at a time but for getUpdates."""

    def __init__(self, bot: dict[str, Any], chats: Chats, updates: Updates, rates: Rates | None) -> None:
        super().__init__(bot, updates)
        self.actions: list[tuple[int, str]] = []
        self.answers: list[tuple[str, str]] = []
        self.queries: set[str] = set()
        self.files: dict[str, bytes] = {}
        self._chats = chats
        self._rates = rates

    def keep_file(self, content: bytes, more: Told) -> dict[str, Any]:
        """A file of a message, which getFile finds."""
        file_id = f"file_{len(self.files) + 1}"
        self.files[file_id] = content
        return {**_file(file_id, content), **more}

    @method("chat_id", "text", optional=("entities", "link_preview_options", *ANYWHERE))
    def send_message(self, told: Told) -> object:
        text, entities = rules.checked_text(told["text"], told.get("entities"))
        message = self._new(told)
        message.text, message.entities = text, entities
        return self._show(message)

    @method("chat_id", "document", optional=("caption", "caption_entities", *ANYWHERE))
    def send_document(self, told: Told) -> object:
        document = told["document"]
        if not isinstance(document, Upload):
            raise bad("wrong remote file identifier specified")
        if not document.content:
            raise bad("file must be non-empty")
        message = self._new(told)
        message.text, message.entities = rules.checked_caption(told.get("caption"), told.get("caption_entities"))
        message.file = (document.name, document.content)
        message.attached = {"document": self.keep_file(document.content, {"file_name": document.name})}
        return self._show(message)

    @method("chat_id", "message_id", "text", optional=("entities", "reply_markup", "link_preview_options"))
    def edit_message_text(self, told: Told) -> object:
        text, entities = rules.checked_text(told["text"], told.get("entities"), editing=True)
        message, markup = self._own(told), rules.checked_markup(told.get("reply_markup"), inline_only=True)
        if (message.text, message.entities, message.reply_markup) == (text, entities, markup):
            raise bad(NOT_MODIFIED)
        self._count(message.chat)
        message.text, message.entities, message.reply_markup = text, entities, markup
        message.edits += 1
        return self._chats.all[message.chat].message_object(message)

    @method("chat_id", "message_id", optional=("reply_markup",))
    def edit_message_reply_markup(self, told: Told) -> object:
        message, markup = self._own(told), rules.checked_markup(told.get("reply_markup"), inline_only=True)
        if message.reply_markup == markup:
            raise bad(NOT_MODIFIED)
        self._count(message.chat)
        message.reply_markup = markup
        return self._chats.all[message.chat].message_object(message)

    @method("chat_id", "message_id")
    def delete_message(self, told: Told) -> object:
        chat = self._chats.reachable(told["chat_id"])
        message = chat.messages.get(int(told["message_id"]))
        if message is None:
            raise bad("message to delete not found")
        if not message.from_bot and not chat.is_private:
            raise bad("message can't be deleted")
        del chat.messages[message.id]
        return True

    @method("chat_id", "action", optional=("message_thread_id",))
    def send_chat_action(self, told: Told) -> object:
        if told["action"] not in rules.ACTIONS:
            raise bad("wrong parameter action in request")
        chat = self._chats.reachable(told["chat_id"])
        _topic(chat, told)
        self.actions.append((chat.id, told["action"]))
        return True

    @method("chat_id", "draft_id", "text", optional=("entities", "message_thread_id"))
    def send_message_draft(self, told: Told) -> object:
        chat = self._chats.reachable(told["chat_id"])
        if not chat.is_private:
            raise bad("drafts can be sent in private chats only")
        if int(told["draft_id"]) == 0:
            raise bad("draft_id must be non-zero")
        _topic(chat, told)
        chat.draft, _ = rules.checked_text(told["text"], told.get("entities"))
        return True

    @method("callback_query_id", optional=("text", "show_alert", "url", "cache_time"))
    def answer_callback_query(self, told: Told) -> object:
        query, text = told["callback_query_id"], told.get("text", "")
        if query not in self.queries:
            raise bad(OLD_QUERY)
        if len(text) > rules.MAX_CALLBACK_ANSWER:
            raise bad("MESSAGE_TOO_LONG")
        self.answers.append((query, text))
        return True

    @method("chat_id", "message_id", optional=("reaction", "is_big"))
    def set_message_reaction(self, told: Told) -> object:
        message = self._chats.reachable(told["chat_id"]).messages.get(int(told["message_id"]))
        if message is None:
            raise bad("message to react not found")
        message.reaction = told["reaction"][0]["emoji"] if told.get("reaction") else None
        return True

    @method("file_id")
    def get_file(self, told: Told) -> object:
        file_id: str = told["file_id"]
        content = self.files.get(file_id)
        if content is None:
            raise bad("invalid file_id")
        if len(content) > rules.MAX_DOWNLOAD:
            raise bad("file is too big")
        return {**_file(file_id, content), "file_path": f"documents/{file_id}"}

    def _new(self, told: Told) -> Shown:
        chat, reply = self._chats.reachable(told["chat_id"]), told.get("reply_parameters")
        answered = None
        if reply is not None and int(reply["message_id"]) in chat.messages:
            answered = int(reply["message_id"])
        elif reply is not None and not reply.get("allow_sending_without_reply"):
            raise bad("message to be replied not found")
        markup = rules.checked_markup(told.get("reply_markup"))
        return Shown(0, chat.id, "", self._bot, reply_markup=markup, topic=_topic(chat, told), reply_to=answered)

    def _show(self, message: Shown) -> object:
        self._count(message.chat)
        chat = self._chats.all[message.chat]
        message.id = chat.next_id()
        chat.draft = None
        return chat.message_object(chat.add(message))

    def _own(self, told: Told) -> Shown:
        message = self._chats.reachable(told["chat_id"]).messages.get(int(told["message_id"]))
        if message is None:
            raise bad("message to edit not found")
        if not message.from_bot:
            raise bad("message can't be edited")
        return message

    def _count(self, chat: int) -> None:
        if self._rates is not None:
            self._rates.count(chat)


def _topic(chat: Chat, told: Told) -> int | None:
    topic = told.get("message_thread_id")
    if topic is None:
        return None
    if int(topic) not in chat.topics:
        raise bad("message thread not found")
    return int(topic)


def _file(file_id: str, content: bytes) -> dict[str, Any]:
    return {"file_id": file_id, "file_unique_id": f"unique_{file_id}", "file_size": len(content)}
