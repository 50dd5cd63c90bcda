"""What a server says of itself and of its model.

llama-server: GET /props (tools/server/README.md); vLLM: max_model_len in /v1/models, GET /version. Others may say as
much as vLLM does in /v1/models; what they leave out must be configured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.connection import Connection
from ai_core.engine.backends.remote.dialect import Kind, tokenize_body, without_system
from ai_core.engine.backends.remote.errors import NotThere, RequestRefused, ServerFailed

SLOTS_UNTOLD = 64
"""Answers at once that we ask of a server which does not tell: vLLM takes 256 and more, as its memory allows."""

TEMPLATE_TOKENS = 96
"""Kept free for what a chat template adds on its own, where the server cannot be asked: gpt-oss's adds about 75."""

MOST_SLOTS = 512
MOST_CONTEXT = 1 << 24
PROBE = (("system", "a"), ("user", "b"))


@dataclass(frozen=True, slots=True)
class Facts:
    """`context_length` is what our own messages may fill, in tokens: the template's words are taken off. `tokenizes`:
    it has POST /tokenize."""

    kind: Kind
    model: str
    context_length: int
    slots: int
    honours: frozenset[str]
    tokenizes: bool
    system_role: bool
    size_bytes: int = 0
    quantization: str = ""


def examine(
    connection: Connection, address: Address, *, model: str | None, context_length: int | None, seconds: float
) -> Facts:
    """Ask the server, `seconds` at most for each question. `context_length` overrides what it says if it is smaller.
    Raises RemoteError."""

    def get(path: str) -> dict[str, Any]:
        answer = connection.ask(path, seconds=seconds)
        if not isinstance(answer, dict):
            raise ServerFailed(f"{address}: {path} is not a JSON object")
        return answer

    card = _card(address, get(f"{address.api}/models"), model)
    kind = {"llamacpp": Kind.LLAMA_SERVER, "vllm": Kind.VLLM}.get(str(card.get("owned_by")), Kind.OTHER)
    props = get(f"{address.root}/props") if kind is Kind.LLAMA_SERVER else {}
    version = _version(get(f"{address.root}/version")) if kind is Kind.VLLM else ()
    if kind is not Kind.OTHER:
        connection.ask_text(f"{address.root}/health", seconds=seconds)
    name = str(card["id"])
    template, system_role = _template(connection, address, kind, name, seconds)
    told = _positive(_settings(props).get("n_ctx"), MOST_CONTEXT) or _positive(card.get("max_model_len"), MOST_CONTEXT)
    context = min(filter(None, (told, context_length)), default=None)
    if context is None:
        raise ServerFailed(f"{address}: does not tell its context length; set context_length")
    if context - (template or TEMPLATE_TOKENS) < 1:
        raise ServerFailed(f"{address}: a context of {context} tokens has no room for a prompt")
    meta = card.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return Facts(
        kind=kind,
        model=name,
        context_length=context - (template or TEMPLATE_TOKENS),
        slots=_positive(props.get("total_slots"), MOST_SLOTS) or SLOTS_UNTOLD,
        honours=kind.honours(version),
        tokenizes=template is not None,
        system_role=system_role,
        size_bytes=_positive(meta.get("size"), 1 << 60) or 0,
        quantization=str(meta.get("ftype") or "")[:40],
    )


def _card(address: Address, models: Mapping[str, Any], wanted: str | None) -> Mapping[str, Any]:
    """The entry of the model that is meant. Of a base model and its adapters (vLLM) that is the base."""
    data = models.get("data")
    cards = (
        [card for card in data if isinstance(card, dict) and _is_name(card.get("id"))] if isinstance(data, list) else []
    )
    if wanted is not None:
        found = [card for card in cards if wanted == card["id"] or wanted in (card.get("aliases") or ())]
        if not found:
            raise ServerFailed(f"{address}: does not serve the model {wanted}")
        return found[0]
    bases = [card for card in cards if not card.get("parent")]
    if len(bases) != 1:
        names = ", ".join(str(card["id"]) for card in bases[:5])
        raise ServerFailed(f"{address}: serves {len(bases)} models ({names}); set remote_model")
    return bases[0]


def _template(
    connection: Connection, address: Address, kind: Kind, model: str, seconds: float
) -> tuple[int | None, bool]:
    """Tokens that the chat template puts around a system and a user message, None where the server cannot count, and
    whether it takes a system message."""
    if kind is Kind.OTHER:
        return None, True
    try:
        return _count_messages(connection, address, kind, model, PROBE, seconds), True
    except NotThere:
        return None, True  # an older version, or tokenising is switched off
    except RequestRefused:
        pass  # the template of a model that knows no system role
    try:
        return _count_messages(connection, address, kind, model, without_system(PROBE), seconds), False
    except RequestRefused:
        return None, True


def _count_messages(
    connection: Connection,
    address: Address,
    kind: Kind,
    model: str,
    messages: Any,
    seconds: float,
) -> int:
    said = {"messages": [{"role": role, "content": content} for role, content in messages]}
    if kind is Kind.LLAMA_SERVER:
        prompt = connection.ask(f"{address.root}/apply-template", said, seconds=seconds)
        text = prompt.get("prompt") if isinstance(prompt, dict) else None
        if not isinstance(text, str):
            raise ServerFailed(f"{address}: /apply-template gives no prompt")
        question = tokenize_body(kind, model, text, special=True)
    else:
        question = {"model": model, **said}
    return len(tokens_of(address, connection.ask(f"{address.root}/tokenize", question, seconds=seconds)))


def tokens_of(address: Address, answer: Any) -> list[int]:
    """The tokens in an answer of /tokenize. Raises ServerFailed when there are none."""
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list):
        raise ServerFailed(f"{address}: /tokenize gives no tokens")
    return tokens


def _settings(props: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = props.get("default_generation_settings")
    return settings if isinstance(settings, dict) else {}


def _version(told: Mapping[str, Any]) -> tuple[int, ...]:
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", str(told.get("version")))
    return tuple(int(number) for number in numbers.groups()) if numbers else ()


def _positive(value: Any, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 500 and value.isprintable()
