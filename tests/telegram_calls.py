"""A request to the fake Bot API server, and the registry of the methods that it knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.telegram_rules import Refused, bad

Told = Mapping[str, Any]
OBJECTS = frozenset(
    {"entities", "caption_entities", "reply_markup", "reply_parameters", "link_preview_options", "commands"}
    | {"scope", "allowed_updates", "reaction"}
)


@dataclass(frozen=True)
class Call:
    """A request of the bot: its parameters as sent, its status (0: none was told), when it came (time.monotonic)."""

    method: str
    parameters: Told
    status: int
    at: float


@dataclass(frozen=True)
class Upload:
    """A part of a multipart body."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Method:
    """What does it, and the names of its parameters."""

    function: Callable[[Any, Told], object]
    known: frozenset[str]
    required: frozenset[str]


METHODS: dict[str, Method] = {}


def method(*required: str, optional: tuple[str, ...] = ()) -> Callable[[Callable[[Any, Told], object]], object]:
    """Registers a method of the API under its own name: send_message is sendMessage."""

    def register(function: Callable[[Any, Told], object]) -> object:
        name = re.sub("_([a-z])", lambda found: found[1].upper(), function.__name__)
        METHODS[name] = Method(function, frozenset(required + optional), frozenset(required))
        return function

    return register


def prepared(receiver: object, name: str, parameters: Told) -> Callable[[], object]:
    """The call of a method of `receiver`, ready to be made. Raises Refused."""
    found = METHODS.get(name)
    if found is None:
        raise Refused(404, "Not Found: method not found")
    unknown = set(parameters) - found.known
    if unknown:
        raise bad(f"{name} has no parameter {', '.join(sorted(unknown))}")
    missing = {name for name in found.required if parameters.get(name) in (None, "")}
    if missing:
        raise bad("message text is empty" if missing == {"text"} else f"parameter {min(missing)} is required")
    told = {key: _read(key, value) for key, value in parameters.items()}
    return lambda: found.function(receiver, told)


def _read(name: str, value: object) -> object:
    if name not in OBJECTS or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise bad(f"can't parse {name} JSON object") from None
