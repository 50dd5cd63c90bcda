from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_cpp import llama_grammar

from ai_core.engine.grammar.expression import GrammarError
from ai_core.engine.grammar.gbnf import MOST_CHARACTERS, parse_gbnf
from tests.ai_core.engine.grammar.reading import allows, gbnf

REFUSED = {
    "": "there is no rule named root",
    "   # only a remark": "there is no rule named root",
    'answer ::= "a"': "there is no rule named root",
    "root ::= other": "line 1: there is no rule named other",
    'root ::= "a"\nroot ::= "b"': "line 2: rule root is defined twice",
    'root = "a"': "::= is missing",
    'root ::= "a': "never closed",
    "root ::= [a": "never closed",
    'root ::= ("a"': r"\) is missing",
    'root ::= "a")': "a new line or the end is missing",
    "root ::= *": "nothing to repeat",
    'root ::= "a" | +': "nothing to repeat",
    'root ::= "a"{': "a number of repetitions is missing",
    'root ::= "a"{3,2}': "fewer than the least",
    'root ::= "a"{9999999999}': "a number of repetitions is missing",
    r'root ::= "\q"': "a known escape is missing",
    r'root ::= "\UFFFFFFFF"': "no such character",
    "root ::= []": "no character",
    "root ::= [z-a]": "no character",
    "root ::= <[1000]>": "references to tokens",
    "root ::= !<think>": "references to tokens",
    "root ::= " + "(" * 60 + '"a"' + ")" * 60: "parentheses in each other",
    'root ::= "' + "a" * MOST_CHARACTERS + '"': "longer than",
    "root_one ::= a": "::= is missing",
    "\x00": "the name of a rule is missing",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:24])
def test_what_cannot_be_read_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(GrammarError, match=REFUSED[text]):
        parse_gbnf(text)


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ('root ::= "oui" | "non"', ["oui", "non"], ["", "ou", "ouinon"]),
        ("root ::= [a-cé]+ # letters\n", ["a", "abcé"], ["", "d", "e"]),
        ("root ::= [^a-y]", ["z", "é", "日", "\n"], ["a", "zz"]),
        ("root ::= .{2,3}", ["ab", "日本語"], ["a", "abcd"]),
        (r'root ::= "\"\\\n\t\x41\u00e9\U0001F600"', ['"\\\n\tAé😀'], ["A"]),
        ("root ::= [-+*/] [a-]", ["-a", "+-"], ["a-"]),
        ('root ::= "a" | ', ["a", ""], ["aa"]),
        ('root ::= ("a" (\n "b"\n)?\n)*', ["", "aab", "ab"], ["b"]),
        ('root ::=\n  "a" b\n\nb ::= "b" |\n "c"', ["ab", "ac"], ["a"]),
        ('root ::= "a"{2} "b"{1,} "c"{0,1}', ["aab", "aabbc"], ["ab", "aa"]),
        ('root ::= "[" root "]" | ""', ["", "[[]]"], ["[", "[]]"]),
        ('root ::= root "+" [0-9] | [0-9]', ["1", "1+2+3"], ["+1", "1+"]),
    ],
)
def test_a_text_is_allowed_or_not(text: str, allowed: list[str], refused: list[str]) -> None:
    automaton = gbnf(text)
    assert [one for one in allowed if not allows(automaton, one)] == []
    assert [one for one in refused if allows(automaton, one)] == []


def test_the_grammars_that_come_with_the_library_work() -> None:
    good = '{"a": [1, -2.5e3, "x\\u00e9é"], "b": {"c": null}}'
    for grammar in (llama_grammar.JSON_GBNF, llama_grammar.CHESS_GBNF, llama_grammar.JAPANESE_GBNF):
        assert allows(gbnf(grammar), good)
        assert not allows(gbnf(grammar), good[:-1])
    assert allows(gbnf(llama_grammar.C_GBNF), "int f(int a){return a;}")
    assert allows(gbnf(llama_grammar.ARITHMETIC_GBNF), "(1+x)*2=3\n")
    assert allows(gbnf(llama_grammar.LIST_GBNF), "- un\n- deux\n")


def expressions() -> st.SearchStrategy[tuple[str, str]]:
    """The same language in GBNF and as a regular expression."""
    leaves = st.sampled_from([('"a"', "a"), ('"ab"', "ab"), ("[ab]", "[ab]"), ("[^a]", "[^a]"), ('""', ""), (".", ".")])

    def larger(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
        several = st.lists(inner, min_size=1, max_size=3)
        times = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "{0}"])
        return st.one_of(
            several.map(
                lambda all_: (" ".join(f"({one})" for one, _ in all_), "".join(f"(?:{two})" for _, two in all_))
            ),
            several.map(lambda all_: (" | ".join(one for one, _ in all_), "|".join(two for _, two in all_))),
            st.tuples(inner, times).map(lambda both: (f"({both[0][0]}){both[1]}", f"(?:{both[0][1]}){both[1]}")),
        )

    return st.recursive(leaves, larger, max_leaves=6)


@settings(max_examples=200, deadline=None)
@given(expressions(), st.lists(st.text("ab", max_size=5), min_size=8, max_size=8))
def test_without_recursion_it_is_a_regular_expression(both: tuple[str, str], texts: list[str]) -> None:
    grammar, expression = both
    automaton = gbnf(f"root ::= ({grammar})")
    for text in texts:
        assert allows(automaton, text) == (re.fullmatch(expression, text, re.DOTALL) is not None), text


@settings(max_examples=300, deadline=None)
@given(st.text('root::=abc"()[]|*+?{}1,2.^-\\nux#<!> \n', max_size=40), st.booleans())
def test_any_text_is_read_or_refused(noise: str, as_body: bool) -> None:
    try:
        allows(gbnf(f"root ::= {noise}" if as_body else noise), "abc")
    except GrammarError:
        return
