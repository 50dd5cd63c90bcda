"""Grammars that are ambiguous, recursive or too large: each costs a bounded time and memory."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ai_core.engine.grammar.automaton import Automaton
from ai_core.engine.grammar.expression import Characters, GrammarError
from ai_core.engine.grammar.matcher import MOST_WORK, Matcher
from ai_core.engine.grammar.utf8 import byte_ranges
from tests.ai_core.engine.grammar.reading import allows, gbnf


def test_an_ambiguous_grammar_is_followed_through_a_long_text() -> None:
    """llama.cpp's own engine has four times as many stacks after each of these bytes."""
    automaton = gbnf('root ::= "a" root "b" | "a" root "c" | "a"')
    assert allows(automaton, "a" * 500 + "bc" * 249 + "b")
    assert not allows(automaton, "a" * 500 + "bc" * 249 + "d")


def test_rules_that_may_be_empty_at_the_left_end() -> None:
    """llama.cpp's own engine never comes back from this one."""
    automaton = gbnf('root ::= a root "x" | "z"\na ::= b\nb ::= | "y"')
    for text, allowed in {"z": True, "zx": True, "yzx": True, "yyzxx": True, "yyzx": False, "yz": False}.items():
        assert allows(automaton, text) is allowed, text


def test_palindromes() -> None:
    automaton = gbnf('root ::= "a" root "a" | "b" root "b" | "a" | "b" | ""')
    for text in ("", "a", "abba", "abababa", "ab", "abbab"):
        assert allows(automaton, text) is (text == text[::-1]), text


def test_a_text_with_too_many_ways_to_read_it_is_refused_within_the_limit() -> None:
    matcher = Matcher(gbnf('root ::= root root | "a"'))
    assert matcher.follow(b"a" * 10_000) is None
    few = Matcher(gbnf('root ::= root root | "a"'))
    after = few.follow(b"a" * 5)
    assert after is not None
    assert after.may_end
    steps = [few.work]
    while (after := few.follow(b"a")) is not None:
        few.position = after
        steps.append(few.work)
    assert max(late - early for early, late in pairwise(steps)) <= 2 * MOST_WORK


@pytest.mark.parametrize(
    "text",
    [
        'root ::= ("abcdefghij"{1000}){1000}',
        "root ::= "
        + "a1 " * 10
        + "".join(f"\na{n} ::= " + f"a{n + 1} " * 10 for n in range(1, 5))
        + '\na5 ::= "x"{30000}',
        'root ::= "' + "a" * 60_000 + '"',
    ],
    ids=["nested", "rules", "long"],
)
def test_a_grammar_that_grows_too_large_is_refused(text: str) -> None:
    with pytest.raises(GrammarError, match="too large"):
        gbnf(text.replace("30000", "60000"))


@pytest.mark.parametrize("text", ["root ::= root", 'root ::= a "x"\na ::= b\nb ::= a'])
def test_a_grammar_without_any_text_is_refused(text: str) -> None:
    with pytest.raises(GrammarError, match="allows no text"):
        Matcher(gbnf(text))


def test_thousands_of_rules_in_a_row_are_followed() -> None:
    rules = "".join(f"\na{n} ::= a{n + 1}" for n in range(1000))
    assert allows(gbnf(f'root ::= a0{rules}\na1000 ::= "x"'), "x")


def test_what_repeats_comes_back_to_the_same_position() -> None:
    matcher = Matcher(gbnf('root ::= item*\nitem ::= [^,] | "," item'))
    assert matcher.follow("é,".encode() * 5000 + b"a") is not None
    assert len(matcher._remembered) < 20


def test_a_rule_that_calls_itself_at_its_end_needs_no_more_memory() -> None:
    matcher = Matcher(gbnf("root ::= ws\nws ::= ([ \\t] ws)?"))
    for _ in range(200):
        after = matcher.follow(b" ")
        assert after is not None
        matcher.position = after
    for _, reading in matcher.position.ways:
        assert {further for _, further in reading.returns} == {None}


def test_parts_of_characters_are_followed_and_what_is_no_text_is_refused() -> None:
    matcher = Matcher(gbnf("root ::= [à-ü] [^z]"))
    after = matcher.follow("é".encode()[:1])
    assert after is not None
    assert not after.may_end
    matcher.position = after
    assert matcher.follow("é".encode()[1:]) is not None
    assert matcher.follow(b"\xff") is None
    assert not allows(gbnf("root ::= .*"), b"\xed\xa0\x80")
    assert not allows(gbnf("root ::= .*"), b"\xc0\x80")


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0x3000), (0x7E, 0x81), (0x7FF, 0x901), (0xD700, 0xE100), (0xFFF0, 0x10100)]
)
def test_the_bytes_of_a_range_are_those_of_its_characters(low: int, high: int) -> None:
    automaton = Automaton({"root": Characters(((low, high),))})
    around = [code for code in range(max(0, low - 70), high + 70) if not 0xD800 <= code <= 0xDFFF]
    assert [code for code in around if allows(automaton, chr(code))] == [code for code in around if low <= code <= high]
    assert all(len(ranges) <= 4 for ranges in byte_ranges(low, high))


def test_first_bytes_are_those_that_can_be_followed() -> None:
    matcher = Matcher(gbnf('root ::= [a-c] | "é" | ""'))
    possible = {byte for byte, is_possible in enumerate(matcher.position.first_bytes()) if is_possible}
    assert possible == {*b"abc", "é".encode()[0]}
    assert possible == {byte for byte in range(256) if matcher.follow(bytes([byte])) is not None}
