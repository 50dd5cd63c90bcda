"""What a model reads: the same tokens for every server, made by the code that makes them in our service."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ai_core.conversation_prompt import ConversationPrompt
from ai_core.engine.backends.base import ModelInfo
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.model import metadata
from ai_core.engine.backends.llama_cpp.vocabulary import Vocabulary
from ai_core.prompts import Message

CONTEXT = 1_000_000  # nothing is cut here


class PromptReader:
    """The tokenizer and the chat template of the GGUF at `path`, without its weights."""

    def __init__(self, path: Path) -> None:
        lib = library()
        parameters = lib.llama_model_default_params()
        parameters.vocab_only = True
        self._model = lib.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise ValueError(f"{path}: llama.cpp cannot load it")
        self._vocabulary = Vocabulary(self._model)
        self.info = ModelInfo(
            name=path.stem,
            description="",
            context_length=CONTEXT,
            slots=1,
            chat_template=metadata(self._model, "tokenizer.chat_template") or None,
            bos_token=self._vocabulary.bos,
            eos_token=self._vocabulary.eos,
            architecture="",
            size_bytes=0,
            quantization="",
            honours=frozenset(),
        )

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return self._vocabulary.tokenize(text, special=special)

    def count(self, text: str) -> int:
        """Tokens of a person's text."""
        return len(self.tokenize(text, special=False))

    def close(self) -> None:
        """Give the vocabulary's memory back."""
        if self._model is not None:
            library().llama_model_free(self._model)
            self._model = None

    def prompt(self, system: str, message: str, history: Sequence[Message] = ()) -> ConversationPrompt:
        """All tokens of one request."""
        return ConversationPrompt.build(self, system=system, question=message, history=history, hits=None, max_tokens=1)


@lru_cache(maxsize=1)
def reader_of(path: Path) -> PromptReader:
    """One reader for a process; loading takes a moment."""
    return PromptReader(path)
