"""The grammar that a request asks for, ready to follow its answer."""

from __future__ import annotations

from functools import lru_cache

from ai_core.engine.errors import InvalidRequest
from ai_core.engine.grammar.automaton import Automaton
from ai_core.engine.grammar.expression import GrammarError
from ai_core.engine.grammar.gbnf import parse_gbnf
from ai_core.engine.grammar.json_schema import parse_json_schema
from ai_core.engine.grammar.matcher import Matcher
from ai_core.engine.sampling import SamplingParameters

MOST_KEPT = 8
"""Programs ask with the same few schemas again and again."""
MOST_OF_A_REASON = 300

_PARSERS = {"grammar": parse_gbnf, "json_schema": parse_json_schema}


def constraint(sampling: SamplingParameters) -> Matcher | None:
    """None where any text is allowed. Raises InvalidRequest, which names the parameter and says why."""
    for name in _PARSERS:
        text = getattr(sampling, name)
        if text is not None:
            try:
                return Matcher(_automaton(name, text))
            except GrammarError as error:
                raise InvalidRequest(f"{name}: {str(error)[:MOST_OF_A_REASON]}") from error
    return None


@lru_cache(maxsize=MOST_KEPT)
def _automaton(name: str, text: str) -> Automaton:
    return Automaton(_PARSERS[name](text))
