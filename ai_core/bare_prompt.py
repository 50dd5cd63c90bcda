"""A text to go on with as it stands: no system prompt, no chat template."""

from __future__ import annotations

from ai_core.catalog.formats import Format
from ai_core.conversation_prompt import ConversationPrompt
from ai_core.loaded_model import LoadedModel
from common.errors import InvalidFields


def bare_prompt(model: LoadedModel, text: str, *, field: str) -> ConversationPrompt:
    """`text` after the model's own token for the start of a text. Control tokens written in it are control tokens:
    clients of bare continuations apply templates themselves. Raises InvalidFields, naming `field`, for a model that
    takes conversations only."""
    if model.form.format is Format.REMOTE:
        raise InvalidFields({field: ["The loaded model is on another server and takes conversations only."]})
    start = model.backend.info.bos_token
    tokens = model.backend.tokenize(text if text.startswith(start) else start + text, special=True)
    return ConversationPrompt(tokens=tokens, messages=(), shared_prefix=0, articles=(), hits=(), dropped_turns=0)
