"""Reading a JSON schema: its keywords, what its references lead to, two schemas at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import unquote

from ai_core.engine.grammar.expression import GrammarError

MOST_REFERENCES = 50
"""From one schema to the next, before one that says something."""

ANNOTATIONS = frozenset(
    {
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "example",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    }
)
KEYWORDS = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
}
"""What constrains values of one type, and only these."""
COMBINING = frozenset({"$ref", "const", "enum", "anyOf", "oneOf", "allOf", "type"})
KNOWN = COMBINING.union(*KEYWORDS.values())

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}

Schema = dict[str, Any]


def refuse(reason: str) -> NoReturn:
    raise GrammarError(reason)


def known(schema: object) -> Schema:
    """`schema` without annotations. Raises GrammarError for keywords that nobody here honours."""
    if not isinstance(schema, dict):
        refuse("false allows nothing" if schema is False else "a schema is an object")
    kept = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
    for keyword in kept.keys() - KNOWN:
        refuse(f"{keyword} is not supported")
    return kept


def types(schema: Schema) -> list[str]:
    """The types that `schema` names; none where it does not say."""
    named = schema.get("type", [])
    named = named if isinstance(named, list) else [named]
    for name in named:
        if not isinstance(name, str) or name not in TYPES:
            refuse(f"{name!r} is no type")
    return named


def is_of(value: object, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def list_of(schema: Mapping[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    if not isinstance(value, list) or not value:
        refuse(f"{key} is a list, and not an empty one")
    return value


def names_of(schema: Mapping[str, Any], key: str) -> list[str]:
    value = schema.get(key, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        refuse(f"{key} is a list of names")
    return value


def object_of(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = schema.get(key, {})
    if not isinstance(value, dict):
        refuse(f"{key} is an object")
    return value


def bounds(schema: Schema, low: str, high: str) -> tuple[int, int | None]:
    least, most = schema.get(low, 0), schema.get(high)
    if not _is_count(least) or not (most is None or (_is_count(most) and most >= least)):
        refuse(f"{low} and {high} are numbers, the first one not above the second")
    return least, most


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def target(document: object, reference: object) -> object:
    """What "#/..." leads to in `document` (RFC 6901, as the fragment of an address)."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        refuse(f"$ref {reference!r} is not in this schema")
    found = document
    for step in reference.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdecimal() and int(key[:6]) < len(found):
            found = found[int(key[:6])]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            refuse(f"$ref {reference!r} leads nowhere")
    return found


def followed(document: object, schema: object) -> Schema:
    """`schema`, or what it refers to."""
    for _ in range(MOST_REFERENCES):
        found = known(schema)
        if found.keys() != {"$ref"}:
            return found
        schema = target(document, found["$ref"])
    return refuse("$ref leads back to itself")


def merged(one: Schema, other: Schema) -> Schema:
    """What both allow, where that is easy to say."""
    both = dict(one)
    for key, value in other.items():
        if key == "properties":
            first, second = object_of(one, key), object_of(other, key)
            if any(first[name] != second[name] for name in first.keys() & second.keys()):
                refuse("two combined schemas describe one property")
            both[key] = first | second
        elif key == "required":
            both[key] = [*names_of(one, key), *names_of(other, key)]
        elif one.get(key, value) != value:
            refuse(f"combined schemas differ in {key}")
        else:
            both[key] = value
    return both
