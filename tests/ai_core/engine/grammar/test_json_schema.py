from __future__ import annotations

import json
import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.engine.grammar.automaton import Automaton
from ai_core.engine.grammar.expression import GrammarError
from ai_core.engine.grammar.json_schema import parse_json_schema
from tests.ai_core.engine.grammar.reading import allows, schema, written

CITATION = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Réponse",
    "type": "object",
    "properties": {
        "réponse": {"type": "string", "minLength": 1, "maxLength": 20, "description": "en français"},
        "articles": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[LRD]\\d{4}-\\d{1,3}(-\\d+)?$"},
            "minItems": 1,
            "maxItems": 3,
        },
        "jours": {"type": ["integer", "null"]},
        "genre": {"enum": ['con"gé\\\n', 1, None, {"x": [1]}]},
        "le": {"type": "string", "format": "date-time"},
        "suite": {"$ref": "#/$defs/node"},
    },
    "required": ["réponse", "genre", "suite"],
    "additionalProperties": {"type": "boolean"},
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "number"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
}
SCHEMAS: list[dict[str, Any]] = [
    CITATION,
    {},
    {"type": "object"},
    {"type": "array", "minItems": 2, "items": {"const": 7}},
    {"type": "array", "maxItems": 0},
    {"prefixItems": [{"type": "string"}, {"type": "boolean"}], "items": False},
    {"properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}},
    {"properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "required": ["b"], "additionalProperties": True},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {
        "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
        "$defs": {"a": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}},
    },
    {"type": "object", "properties": {"x": {"type": "integer"}}, "oneOf": [{"required": ["x"]}]},
    {"type": ["string", "number"], "maxLength": 3},
    {"type": "integer", "enum": ["a", 1, True, 2.5]},
    {
        "$ref": "#/definitions/list~1of%20lists",
        "definitions": {"list/of lists": {"type": "array", "items": {"$ref": "#"}}},
    },
    {"type": "string", "pattern": "[^a]b?"},
    {"type": "string", "pattern": '^(?:\\w+@\\w+|[^\\s"-]\\D)$'},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "date"},
]


@pytest.mark.parametrize("value", SCHEMAS, ids=lambda value: json.dumps(value)[:40])
def test_every_text_that_is_allowed_is_valid(value: dict[str, Any]) -> None:
    grammar, validator = parse_json_schema(json.dumps(value)), jsonschema_rs.validator_for(value)
    for seed in range(40):
        text = written(grammar, random.Random(seed))
        assert validator.is_valid(json.loads(text)), text


@pytest.mark.parametrize(
    ("value", "allowed", "refused"),
    [
        ({"type": "string"}, ['"é\\n\\u00e9"', '""'], ['"a', '"\n"', '"\\ud800"', "a", '"\\x"']),
        ({"type": "integer"}, ["0", "-12"], ["01", "1.0", "1e3", "", "--1"]),
        ({"type": "number"}, ["0", "-1.5e-3", "10"], [".5", "1.", "1e"]),
        ({"type": "array", "items": {"type": "null"}}, ["[]", "[null, null]", "[\n  null\n]"], ["[null", "[,null]"]),
        ({"properties": {"a": True, "b": True}}, ["{}", '{"a":1}', '{"a":1,"b":2}'], ['{"b":1,"a":2}', '{"c":1}']),
        ({"properties": {"a": True}, "required": ["a"]}, ['{"a": {"x": []}}'], ["{}"]),
        ({"const": 'é"\\\n'}, [json.dumps('é"\\\n', ensure_ascii=False)], ['"é"']),
        ({"type": "string", "maxLength": 2}, ['"ab"', '"😀\\n"'], ['"abc"']),
        ({"type": "string", "pattern": '^"[\\\\n]$'}, ['"\\"\\\\"', '"\\"n"'], ['"\\"x"']),
        ({"type": "string", "pattern": "ab?c"}, ['"ac"', '"xabcé"'], ['"ab"', '"abbc"']),
        ({"type": "string", "pattern": "^a|b$"}, ['"ax"', '"xb"'], ['"xa"']),
        ({"type": "object"}, ['{"a": {"b": [1]}}', "{}"], ["[]", "1"]),
        ({}, ["1", "[]", '"a"', "null"], ["", "nul"]),
    ],
)
def test_a_text_is_allowed_or_not(value: object, allowed: list[str], refused: list[str]) -> None:
    automaton = schema(value)
    assert [one for one in allowed if not allows(automaton, one)] == []
    assert [one for one in refused if allows(automaton, one)] == []


REFUSED: list[tuple[object, str]] = [
    (False, "allows nothing"),
    (3, "a schema is an object"),
    ({"minimum": 1}, "minimum is not supported"),
    ({"properties": {"a": {"items": {"uniqueItems": True}}}}, "a/items: uniqueItems is not supported"),
    ({"type": "text"}, "'text' is no type"),
    ({"type": [["string"]]}, "is no type"),
    ({"$ref": "https://example.org/schema.json"}, "is not in this schema"),
    ({"$ref": "other.json#/a"}, "is not in this schema"),
    ({"$ref": "#/$defs/none"}, "leads nowhere"),
    ({"$ref": 5}, "is not in this schema"),
    ({"$ref": "#"}, "allows no text"),
    ({"$ref": "#", "type": "object"}, "too large"),
    ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}, "leads back to itself"),
    ({"allOf": [{"type": "string"}, {"type": "number"}]}, "combined schemas differ in type"),
    ({"allOf": [{"properties": {"a": {}}}, {"properties": {"a": True}}]}, "describe one property"),
    ({"enum": []}, "not an empty one"),
    ({"enum": ["a"], "type": "null"}, "no value is of the type"),
    ({"const": 1, "minLength": 3}, "stands alone"),
    ({"required": ["a"]}, "which properties does not describe"),
    ({"required": [["a"]]}, "a list of names"),
    ({"properties": []}, "properties is an object"),
    ({"anyOf": {}}, "anyOf is a list"),
    ({"type": "array", "minItems": -1}, "minItems and maxItems are numbers"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "not above"),
    ({"type": "array", "minItems": True}, "are numbers"),
    ({"type": "array", "minItems": 10**9}, "too large"),
    ({"type": "string", "maxLength": 10**18}, "too large"),
    ({"type": "array", "items": False, "minItems": 1}, "contradict"),
    ({"prefixItems": [{}], "minItems": 2}, "another number of items"),
    ({"type": "string", "pattern": "(?=a)"}, "not supported"),
    ({"type": "string", "pattern": "(a"}, "not closed"),
    ({"type": "string", "pattern": "a)"}, "not opened"),
    ({"type": "string", "pattern": "[z-a]"}, "no beginning or no end"),
    ({"type": "string", "pattern": "[a"}, "not closed"),
    ({"type": "string", "pattern": "*"}, "nothing goes before"),
    ({"type": "string", "pattern": "a**"}, "repeated"),
    ({"type": "string", "pattern": "(a){1,99999}{9}"}, "repeated"),
    ({"type": "string", "pattern": "(a{999}){999}"}, "too large"),
    ({"type": "string", "pattern": "\\1"}, "not supported"),
    ({"type": "string", "pattern": "a^b"}, "two ends only"),
    ({"type": "string", "pattern": "[\\x00]"}, "JSON strings"),
    ({"type": "string", "pattern": "(" * 70 + ")" * 70}, "too many parentheses"),
    ({"type": "string", "pattern": 5}, "pattern is a text"),
    ({"const": "\ud800"}, "surrogate"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED, ids=lambda value: json.dumps(value)[:40])
def test_what_cannot_be_honoured_is_refused_with_the_reason(value: object, reason: str) -> None:
    from ai_core.engine.grammar.matcher import Matcher

    with pytest.raises(GrammarError, match=reason):
        Matcher(schema(value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ("[" * 20_000, "nested too deeply"),
        ('{"items":' * 3000 + "{}" + "}" * 3000, "nested too deeply|too large"),
        ('{"items":' * 200 + "{}" + "}" * 200, "too large"),
        ('{"const": ' + "9" * 5000 + "}", "not JSON"),
        ('{"const": NaN}', "not JSON"),
        (json.dumps({"enum": ["a" * 70_000]}), "longer than"),
    ],
    ids=["empty", "quotes", "unclosed", "deep", "deep items", "digits", "nan", "long"],
)
def test_text_that_is_no_usable_schema_is_refused(text: str, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason):
        Automaton(parse_json_schema(text))


def test_combinations_that_double_with_each_level_are_refused() -> None:
    levels = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    value = {"type": "string", "anyOf": [{"$ref": "#/$defs/a0"}], "$defs": levels | {"a40": {"minLength": 1}}}
    with pytest.raises(GrammarError, match="too large"):
        schema(value)


def test_a_chain_of_references_is_followed() -> None:
    chain = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(1000)}
    assert allows(schema({"$ref": "#/$defs/a0", "$defs": chain | {"a1000": {"type": "null"}}}), "null")


def _short(number: float) -> float:
    return round(number, 5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-6e4, 6e4).map(_short) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYWORDS = ["type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems"]
KEYWORDS += ["minLength", "maxLength", "pattern", "format", "$ref", "const", "enum", "anyOf", "oneOf", "allOf", "title"]
SAID = JSON | st.sampled_from(
    ["object", "array", "string", "number", "#", "#/items", "^a+$", ["object", "null"], True, {}, 2]
)
ANY_SCHEMA = st.recursive(
    st.dictionaries(st.sampled_from(KEYWORDS), SAID, max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(KEYWORDS),
        inner | SAID | st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(ANY_SCHEMA)
def test_any_schema_is_converted_or_refused(value: dict[str, Any]) -> None:
    try:
        grammar = parse_json_schema(json.dumps(value))
        allows(Automaton(grammar), "{}")
    except GrammarError:
        return


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_value_is_allowed_where_nothing_is_said(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert allows(schema({}), text), text
