"""Ways to ask a grammar about texts."""

from __future__ import annotations

import json
import random

from ai_core.engine.grammar.automaton import Automaton
from ai_core.engine.grammar.expression import Grammar
from ai_core.engine.grammar.gbnf import parse_gbnf
from ai_core.engine.grammar.json_schema import parse_json_schema
from ai_core.engine.grammar.matcher import Matcher

CLOSING = b'"}]'


def gbnf(text: str) -> Automaton:
    return Automaton(parse_gbnf(text))


def schema(value: object) -> Automaton:
    return Automaton(parse_json_schema(json.dumps(value)))


def allows(automaton: Automaton, text: str | bytes) -> bool:
    """Whether the whole of `text` is allowed."""
    position = Matcher(automaton).follow(text.encode() if isinstance(text, str) else text)
    return position is not None and position.may_end


def written(grammar: Grammar, random: random.Random) -> str:
    """Some text that is allowed, as short as chance has it; rather closes what is open."""
    matcher, text = Matcher(Automaton(grammar)), bytearray()
    while not (matcher.position.may_end and (not matcher.position.ways or random.random() < 0.3)):
        possible = [byte for byte, is_possible in enumerate(matcher.position.first_bytes()) if is_possible]
        closing = [byte for byte in possible if byte in CLOSING]
        byte = random.choice(closing if closing and random.random() < 0.3 else possible)
        after = matcher.follow(bytes([byte]))
        assert after is not None
        matcher.position = after
        text.append(byte)
    return text.decode()
