"""JSON schemas (draft 2020-12, and what older ones wrote otherwise) as grammars.

Every text that the grammar allows is valid. Not every valid text is allowed: members come in the schema's order, others
than described come only where additionalProperties says so, arrays with prefixItems have just these. A keyword that
would change what is valid and cannot be honoured is refused; `format` is an annotation but for dates, times and UUIDs,
and oneOf is read as anyOf.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import reduce

from ai_core.engine.grammar.expression import (
    EMPTY,
    ROOT,
    Expression,
    Grammar,
    GrammarError,
    InOrder,
    OneOf,
    Repeated,
    Rule,
    in_order,
    optional,
)
from ai_core.engine.grammar.json_text import (
    ARRAY,
    BOOLEAN,
    CHARACTER,
    COMMA,
    INTEGER,
    JSON_RULES,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    VALUE,
    constant,
    enclosed,
    member,
    quoted,
    separated,
)
from ai_core.engine.grammar.pattern import parse_pattern
from ai_core.engine.grammar.schema_document import (
    KEYWORDS,
    TYPES,
    Schema,
    bounds,
    followed,
    is_of,
    known,
    list_of,
    merged,
    names_of,
    object_of,
    refuse,
    target,
    types,
)

MOST_CHARACTERS = 64_000
MOST_NESTED = 50
MOST_SCHEMAS = 3000
"""Parts of a schema, each counted as often as it is converted."""

_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
FORMATS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "uuid": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
}


def parse_json_schema(text: str) -> Grammar:
    """`text` is the schema as JSON. Raises GrammarError."""
    if len(text) > MOST_CHARACTERS:
        raise GrammarError(f"longer than {MOST_CHARACTERS} characters")
    try:
        return _Converter(_document(text)).grammar()
    except RecursionError as error:
        raise GrammarError("nested too deeply") from error


def _document(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise GrammarError(f"not JSON: {error}") from error


class _Converter:
    def __init__(self, document: object) -> None:
        self._document = document
        self._rules: dict[str, Expression] = dict(JSON_RULES)
        self._path: list[str] = []
        self._converted = 0
        self._waiting: list[str] = []
        self._by_type: dict[str, Callable[[Schema], Expression]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": lambda _: INTEGER,
            "number": lambda _: NUMBER,
            "boolean": lambda _: BOOLEAN,
            "null": lambda _: NULL,
        }

    def grammar(self) -> Grammar:
        try:
            self._rules[ROOT] = self._convert(self._document)
            while self._waiting:
                reference = self._waiting.pop()
                self._path = [reference]
                self._rules[_rule_of(reference)] = self._convert(target(self._document, reference))
        except GrammarError as error:
            raise GrammarError(f"{'/'.join(self._path)}: {error}" if self._path else str(error)) from error
        return self._rules

    def _convert(self, schema: object, *steps: str) -> Expression:
        """What `schema`, which is `steps` below the one that is being converted, allows."""
        above, self._path = self._path, [*self._path, *steps]
        self._converted += 1
        if self._converted > MOST_SCHEMAS or len(self._path) > 2 * MOST_NESTED:
            refuse("the schema is too large")
        expression = VALUE if schema is True else self._any(known(schema))
        self._path = above
        return expression

    def _any(self, schema: Schema) -> Expression:
        if schema.keys() == {"$ref"}:
            return self._reference(schema["$ref"])
        if "$ref" in schema:
            return self._all([{"$ref": schema.pop("$ref")}], schema, "$ref")
        if "allOf" in schema:
            return self._all(list_of(schema, "allOf"), schema, "allOf")
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._options(list_of(schema, keyword), schema, keyword)
        if "const" in schema or "enum" in schema:
            return self._constants(schema)
        return self._typed(schema)

    def _all(self, parts: Sequence[object], schema: Schema, keyword: str) -> Expression:
        rest = {key: value for key, value in schema.items() if key != keyword}
        whole = reduce(merged, (followed(self._document, part) for part in parts), rest)
        return self._convert(whole, keyword)

    def _options(self, options: Sequence[object], schema: Schema, keyword: str) -> Expression:
        rest = {key: value for key, value in schema.items() if key != keyword}
        wholes = [merged(rest, followed(self._document, option)) if rest else option for option in options]
        return OneOf(tuple(self._convert(whole, f"{keyword} {place}") for place, whole in enumerate(wholes)))

    def _constants(self, schema: Schema) -> Expression:
        if schema.keys() not in ({"const"}, {"enum"}, {"const", "type"}, {"enum", "type"}):
            refuse("const or enum stands alone, or beside type")
        values = [schema["const"]] if "const" in schema else list_of(schema, "enum")
        allowed = types(schema) or TYPES
        kept = [value for value in values if any(is_of(value, name) for name in allowed)]
        if not kept:
            refuse("no value is of the type")
        return OneOf(tuple(constant(value) for value in kept))

    def _typed(self, schema: Schema) -> Expression:
        """Without a type, values of other types than the keywords are about would be valid too: left out."""
        named = types(schema) or [name for name, keywords in KEYWORDS.items() if schema.keys() & keywords]
        return OneOf(tuple(self._by_type[name](schema) for name in named)) if named else VALUE

    def _object(self, schema: Schema) -> Expression:
        properties, required = object_of(schema, "properties"), names_of(schema, "required")
        others = schema.get("additionalProperties", not properties)
        if not properties and not required and others is True:
            return OBJECT
        for name in required:
            if name not in properties:
                refuse(f"required names {name!r}, which properties does not describe")
        members = [
            (self._rule(member(constant(name), self._convert(value, name))), name in required)
            for name, value in properties.items()
        ]
        return enclosed("{", self._members(members, self._others(others)), "}")

    def _others(self, schema: object) -> Expression:
        """Members that properties does not describe."""
        if schema is False:
            return EMPTY
        return separated(member(STRING, self._convert(schema, "additionalProperties")), least=1)

    def _members(self, members: list[tuple[Rule, bool]], others: Expression) -> Expression:
        """Made from the last member to the first: `later` comes after a member, `first` where there was none so far."""
        first: Expression = optional(others)
        later: Expression = EMPTY if others is EMPTY else optional(in_order(COMMA, others))
        for named, is_required in reversed(members):
            here, there = in_order(named, later), in_order(COMMA, named)
            first = self._rule(here if is_required else OneOf((here, first)))
            later = self._rule(in_order(there if is_required else optional(there), later))
        return first

    def _array(self, schema: Schema) -> Expression:
        least, most = bounds(schema, "minItems", "maxItems")
        for keyword in ("prefixItems", "items"):
            if isinstance(schema.get(keyword), list):
                return self._tuple(list_of(schema, keyword), least, most)
        if "items" not in schema and least == 0 and most is None:
            return ARRAY
        if schema.get("items") is False or most == 0:
            return enclosed("[", EMPTY, "]") if least == 0 else refuse("items and minItems contradict each other")
        return enclosed("[", separated(self._rule(self._convert(schema.get("items", True), "items")), least, most), "]")

    def _tuple(self, schemas: list[object], least: int, most: int | None) -> Expression:
        if not least <= len(schemas) <= (len(schemas) if most is None else most):
            refuse("prefixItems has another number of items than minItems and maxItems allow")
        first, *rest = (self._convert(each, f"prefixItems {place}") for place, each in enumerate(schemas))
        return enclosed("[", InOrder((first, *(in_order(COMMA, item) for item in rest))), "]")

    def _string(self, schema: Schema) -> Expression:
        least, most = bounds(schema, "minLength", "maxLength")
        pattern = schema.get("pattern", FORMATS.get(str(schema.get("format"))))
        is_bounded = least > 0 or most is not None
        if pattern is None:
            return quoted(Repeated(CHARACTER, least, most)) if is_bounded else STRING
        if is_bounded or not isinstance(pattern, str) or {"pattern", "format"} <= schema.keys():
            refuse("pattern is a text; it stands without format, and both without minLength and maxLength")
        return quoted(parse_pattern(pattern))

    def _reference(self, reference: object) -> Expression:
        """A rule of its own, so that schemas may contain themselves."""
        target(self._document, reference)
        name = _rule_of(str(reference))
        if name not in self._rules:
            self._rules[name] = EMPTY
            self._waiting.append(str(reference))
        return Rule(name)

    def _rule(self, expression: Expression) -> Rule:
        """A name for what is used more than once, so that it is there once."""
        name = f"rule {len(self._rules)}"
        self._rules[name] = expression
        return Rule(name)


def _rule_of(reference: str) -> str:
    return f"ref {reference}"
