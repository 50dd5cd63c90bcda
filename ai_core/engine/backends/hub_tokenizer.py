"""The tokenizer of a model in the Hub's formats, read from its tokenizer.json by the tokenizers library."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from ai_core.engine.backends.base import BackendError

SPACE = "▁"
"""sentencepiece's mark of a space."""


class HubTokenizer:
    """`folder` holds tokenizer.json and, where the model has them, tokenizer_config.json, generation_config.json,
    config.json and chat_template.jinja. Safe from any thread. Raises BackendError."""

    def __init__(self, folder: Path) -> None:
        self._name = folder.name
        # Two, because whether control tokens are recognised is a property of the object.
        self._plain = _open(folder)
        self._plain.encode_special_tokens = True
        self._special = _open(folder)
        self._config = _read(folder / "tokenizer_config.json")
        self._template_file = folder / "chat_template.jinja"
        self.chat_template = self._read_template()
        self._ends = self._read_ends(folder)
        self.size: int = self._plain.get_vocab_size(with_added_tokens=True)
        self.end = self._ends[0] if self._ends else -1
        self.bos_token = _written(self._config.get("bos_token"))
        self.eos_token = _written(self._config.get("eos_token"))

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Adds no token of its own; control tokens written in `text` are recognised only with `special`. Lone
        surrogates become question marks."""
        tokenizer = self._special if special else self._plain
        text = text.encode("utf-8", "replace").decode("utf-8")
        tokens: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return tokens

    def piece(self, token: int) -> bytes:
        """The bytes of `token`, maybe part of a character; empty for control tokens and numbers without a token."""
        return self._pieces[token] if 0 <= token < len(self._pieces) else b""

    def is_end(self, token: int) -> bool:
        return token in self._ends

    @cached_property
    def _pieces(self) -> list[bytes]:
        added = self._plain.get_added_tokens_decoder()
        byte_level = "ByteLevel" in json.dumps(json.loads(self._plain.to_str()).get("decoder"))
        return [self._bytes_of(token, added, byte_level) for token in range(self.size)]

    def _bytes_of(self, token: int, added: dict[int, Any], byte_level: bool) -> bytes:
        if token in added:
            return b"" if added[token].special else str(added[token].content).encode()
        name = self._plain.id_to_token(token)
        if name is None:
            return b""
        if byte_level:
            return bytes(_BYTE_OF_LETTER[letter] for letter in name if letter in _BYTE_OF_LETTER)
        if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
            return bytes([int(name[3:5], 16)])
        return str(name).replace(SPACE, " ").encode()

    def _read_template(self) -> str | None:
        if self._template_file.exists():
            return self._template_file.read_text(encoding="utf-8")
        template = self._config.get("chat_template")
        if isinstance(template, list):  # several, by name
            named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
            template = named.get("default")
        return template if isinstance(template, str) else None

    def _read_ends(self, folder: Path) -> list[int]:
        """Those of generation_config.json, else of config.json, else the tokenizer's own; the main one first."""
        for name in ("generation_config.json", "config.json"):
            ends = _read(folder / name).get("eos_token_id")
            if ends is not None:
                return [int(end) for end in (ends if isinstance(ends, list) else [ends])]
        written = _written(self._config.get("eos_token"))
        token = self._special.token_to_id(written) if written else None
        return [] if token is None else [token]


def _open(folder: Path) -> Any:
    import tokenizers

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise BackendError(f"{folder.name} has no tokenizer.json")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise BackendError(f"{folder.name}/tokenizer.json cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise BackendError(f"{file.parent.name}/{file.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BackendError(f"{file.parent.name}/{file.name} is not a JSON object")
    return content


def _written(token: Any) -> str:
    """How tokenizer_config.json writes a control token: as text, or as an object with its content."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""


def _bytes_of_letters() -> dict[str, int]:
    """GPT-2's printable letter for each byte, turned round."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTE_OF_LETTER = _bytes_of_letters()
