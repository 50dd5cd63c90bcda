"""An excerpt is short, comes from the text, and holds the question's words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_core.knowledge.excerpt import MAX_EXCERPT, best_excerpt


def alike(_: str) -> float:
    return 1.0


def test_the_sentence_with_the_words_is_chosen() -> None:
    text = "Le premier alinéa parle de bleu. Le préavis est de neuf jours. La suite."
    assert best_excerpt(text, {"preav": 1.0}, alike) == "Le préavis est de neuf jours. La suite."


def test_without_words_it_is_the_beginning() -> None:
    assert best_excerpt("Un. Deux.", {}, alike) == "Un. Deux."


def test_a_number_does_not_end_a_sentence() -> None:
    text = "Selon l'article L. 9101-1, le délai court. Rien."
    assert best_excerpt(text, {"del": 1.0}, alike).startswith("Selon l'article L. 9101-1")


def test_a_long_sentence_is_cut_at_a_word() -> None:
    excerpt = best_excerpt("mot " * 500, {}, alike)
    assert len(excerpt) <= MAX_EXCERPT
    assert excerpt.endswith("mot…")


@given(st.text(max_size=1000))
def test_any_text_gives_a_short_excerpt(text: str) -> None:
    assert len(best_excerpt(text, {"preav": 1.0}, alike)) <= MAX_EXCERPT
