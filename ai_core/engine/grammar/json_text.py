"""JSON itself as rules: https://www.rfc-editor.org/rfc/rfc8259

Stricter where a model could go on for ever or write what readers choke on: white space is a blank or a line with its
indentation, numbers have at most 16 digits before and after the point, no half of a surrogate pair is escaped.
"""

from __future__ import annotations

import json

from ai_core.engine.grammar.expression import (
    Characters,
    Expression,
    Grammar,
    GrammarError,
    Literal,
    OneOf,
    Repeated,
    Rule,
    all_but,
    characters,
    in_order,
    optional,
)

DIGIT = characters("0-9")
HEX = characters("0-9", "a-f", "A-F")
CONTROLS = (0x00, 0x1F)
PLAIN = Characters(all_but([CONTROLS, (ord('"'), ord('"')), (ord("\\"), ord("\\"))]))
"""Characters that stand for themselves in a string."""

SPACE, CHARACTER, STRING, VALUE = Rule("json-space"), Rule("json-character"), Rule("json-string"), Rule("json-value")
OBJECT, ARRAY = Rule("json-object"), Rule("json-array")
INTEGER, NUMBER = Rule("json-integer"), Rule("json-number")
BOOLEAN, NULL = OneOf((Literal("true"), Literal("false"))), Literal("null")
COMMA = in_order(Literal(","), SPACE)


def quoted(content: Expression) -> Expression:
    return in_order(Literal('"'), content, Literal('"'))


def member(key: Expression, value: Expression) -> Expression:
    return in_order(key, Literal(":"), SPACE, value)


def enclosed(opening: str, content: Expression, closing: str) -> Expression:
    return in_order(Literal(opening), SPACE, content, SPACE, Literal(closing))


def separated(item: Expression, least: int = 0, most: int | None = None) -> Expression:
    """`item` from `least` to `most` times, commas between."""
    if most == 0:
        return Literal("")
    rest = Repeated(in_order(COMMA, item), max(0, least - 1), None if most is None else most - 1)
    return in_order(item, rest) if least else optional(in_order(item, rest))


def constant(value: object) -> Expression:
    """Exactly this value, written without white space. Raises GrammarError for what JSON does not have."""
    try:
        return Literal(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except (ValueError, RecursionError) as error:
        raise GrammarError(f"{value!r} is not JSON") from error


_FOUR_HEX = OneOf(
    (
        in_order(characters("0-9", "a-c", "e-f", "A-C", "E-F"), Repeated(HEX, 3, 3)),
        in_order(characters("d", "D"), characters("0-7"), Repeated(HEX, 2, 2)),
    )
)
_ESCAPED = OneOf((characters(*'"\\/bfnrt'), in_order(Literal("u"), _FOUR_HEX)))
_EXPONENT = in_order(characters("e", "E"), optional(characters("+", "-")), Repeated(DIGIT, 1, 2))

JSON_RULES: Grammar = {
    SPACE.name: optional(OneOf((Literal(" "), in_order(Literal("\n"), Repeated(characters(" ", "\t"), 0, 20))))),
    CHARACTER.name: OneOf((PLAIN, in_order(Literal("\\"), _ESCAPED))),
    STRING.name: quoted(Repeated(CHARACTER, 0, None)),
    INTEGER.name: in_order(
        optional(Literal("-")), OneOf((Literal("0"), in_order(characters("1-9"), Repeated(DIGIT, 0, 15))))
    ),
    NUMBER.name: in_order(INTEGER, optional(in_order(Literal("."), Repeated(DIGIT, 1, 16))), optional(_EXPONENT)),
    OBJECT.name: enclosed("{", separated(member(STRING, VALUE)), "}"),
    ARRAY.name: enclosed("[", separated(VALUE), "]"),
    VALUE.name: OneOf((OBJECT, ARRAY, STRING, NUMBER, BOOLEAN, NULL)),
}
