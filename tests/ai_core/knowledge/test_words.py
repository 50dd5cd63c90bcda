"""A text becomes the stems that carry its meaning, however it is written."""

from __future__ import annotations

import pytest

from ai_core.knowledge.words import stems


@pytest.mark.parametrize("written", ["Prud'hommes", "prud’homme", "prud hommes", "PRUDHOMMES", "prud'homal"])
def test_a_compound_is_one_word_in_every_spelling(written: str) -> None:
    assert stems(written) == stems("prud'hommes")
    assert len(stems(written)) == 1


def test_words_that_only_look_like_it_stay_what_they_are() -> None:
    assert len(stems("prudence, hommes")) == 2
