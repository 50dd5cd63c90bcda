"""The prompt fits the context: the question always, then articles whole before cut, then the latest turns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.conversation_prompt import ConversationPrompt, QuestionTooLong
from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.grounding import cut_to_tokens, fit_articles
from ai_core.knowledge.article import Article
from ai_core.knowledge.search import SearchHit
from ai_core.prompts import Message


def hit(number: str, text: str) -> SearchHit:
    article = Article(number, "LEGIARTI000000000001", "Objet", ("Partie",), text, "", "in_force", None, None)
    return SearchHit(article, 1.0, text[:20])


def build(
    context: int, question: str = "Quoi ?", *, history: list[Message] | None = None, hits: list[SearchHit] | None = None
) -> tuple[ConversationPrompt, str]:
    model = ScriptedBackend(context_length=context)
    prompt = ConversationPrompt.build(
        model, system="Sois bref.", question=question, history=history or [], hits=hits, max_tokens=100
    )
    return prompt, bytes(prompt.tokens).decode()


def turns(count: int) -> list[Message]:
    return [Message(("user", "assistant")[index % 2], f"tour {index} " + "x" * 50) for index in range(count)]


def test_everything_fits_in_a_large_context() -> None:
    prompt, text = build(4000, history=turns(4), hits=[hit("L1234-1", "Un article."), hit("L1234-2", "Un autre.")])
    assert [used.article.number for used in prompt.hits] == ["L1234-1", "L1234-2"]
    assert prompt.dropped_turns == 0
    assert text.index("tour 0") < text.index("tour 3") < text.index("[L1234-1]") < text.index("Question : Quoi ?")


def test_the_shared_prefix_is_the_system_turn() -> None:
    prompt, text = build(4000)
    assert text[: prompt.shared_prefix].endswith("<|im_start|>user\n")
    assert "Quoi" not in text[: prompt.shared_prefix]


def test_articles_are_shared_too_but_never_what_a_person_wrote() -> None:
    found = [hit("L1234-1", "Un article.")]
    prompt, text = build(4000, hits=found)
    assert text[: prompt.shared_prefix].endswith("Un article.\n\nQuestion : ")
    prompt, text = build(4000, hits=found, history=turns(2))
    assert text[: prompt.shared_prefix].endswith("<|im_start|>user\n")
    assert "tour 0" not in text[: prompt.shared_prefix]


def test_a_token_across_the_border_to_the_question_is_not_shared() -> None:
    class Pairs(ScriptedBackend):
        """Two characters a token."""

        def tokenize(self, text: str, *, special: bool) -> list[int]:
            return [hash(text[place : place + 2]) % 1000 for place in range(0, len(text), 2)]

    def tokens(question: str) -> ConversationPrompt:
        model, hits = Pairs(context_length=4000), [hit("L1234-1", "Un article.")]
        return ConversationPrompt.build(model, system="S", question=question, history=[], hits=hits, max_tokens=9)

    ours, theirs = tokens("Quoi ?"), tokens("Non ?")
    shared = min(ours.shared_prefix, theirs.shared_prefix)
    assert ours.tokens[:shared] == theirs.tokens[:shared]


def test_articles_that_do_not_fit_are_left_out_of_prompt_and_sources() -> None:
    prompt, text = build(590, hits=[hit("L1234-1", "Un. " * 60), hit("L1234-2", "deux " * 100)])
    assert [used.article.number for used in prompt.hits] == ["L1234-1"]
    assert "L1234-2" not in text


def test_the_oldest_turns_go_first_and_in_pairs() -> None:
    prompt, text = build(600, history=turns(8))
    assert 0 < prompt.dropped_turns < 8
    assert prompt.dropped_turns % 2 == 0
    assert "tour 7" in text
    assert "tour 0" not in text


def test_a_question_that_cannot_fit_is_refused_with_figures() -> None:
    with pytest.raises(QuestionTooLong) as refused:
        build(500, "x" * 600)
    assert refused.value.tokens == 600
    assert 0 < refused.value.limit < 500


@pytest.mark.parametrize(
    "history",
    [
        [Message("assistant", "Bonjour.")],
        [Message("user", "a"), Message("user", "b")],
        [Message("user", "a"), Message("assistant", "b"), Message("user", "c")],
    ],
)
def test_turns_alternate_whatever_the_client_sent(history: list[Message]) -> None:
    _, text = build(4000, history=history)
    roles = [line.removeprefix("<|im_start|>") for line in text.splitlines() if line.startswith("<|im_start|>")]
    assert roles[0] == "system"
    assert all(role == ("user", "assistant")[index % 2] for index, role in enumerate(roles[1:]))


def test_the_messages_say_the_same_as_the_tokens() -> None:
    prompt, text = build(600, history=turns(8), hits=[hit("L1234-1", "Un article.")])
    (first, system), *talk, (last, question) = prompt.messages
    assert (first, system, last) == ("system", "Sois bref.", "user")
    assert [role for role, _ in talk] == ["user", "assistant"] * (len(talk) // 2)
    assert len(talk) + prompt.dropped_turns == 8
    assert question.endswith("Question : Quoi ?")
    assert text == "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in prompt.messages) + (
        "<|im_start|>assistant\n"
    )


class EstimatingModel(ScriptedBackend):
    """As remote servers without a tokenizer are: no template, and a length that is no more than a good guess."""

    def __init__(self, context_length: int) -> None:
        super().__init__(context_length=context_length)
        self.info = replace(self.info, chat_template=None, eos_token="")

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return [0] * -(-len(text.encode()) // 3)


@given(st.integers(300, 3000), st.lists(st.text("ab. é\n", max_size=300), max_size=5), st.integers(0, 12))
def test_a_model_that_only_estimates_gets_a_prompt_that_fits_its_estimate(
    context: int, texts: list[str], count: int
) -> None:
    hits = [hit(f"L1234-{number}", text) for number, text in enumerate(texts, 1)]
    prompt = ConversationPrompt.build(
        EstimatingModel(context),
        system="Sois bref.",
        question="Quoi ?",
        history=turns(count),
        hits=hits,
        max_tokens=100,
    )
    assert len(prompt.tokens) + min(100, context // 4) <= context
    assert prompt.messages[-1][1].endswith("Question : Quoi ?")


@given(
    st.integers(400, 3000),
    st.lists(st.text("ab. \n", max_size=300), max_size=5),
    st.integers(0, 12),
)
def test_the_prompt_always_leaves_room_for_an_answer(context: int, texts: list[str], count: int) -> None:
    prompt, _ = build(context, history=turns(count), hits=[hit(f"L1234-{i}", text) for i, text in enumerate(texts, 1)])
    assert len(prompt.tokens) + min(100, context // 4) <= context


def test_an_article_is_cut_at_a_sentence_and_marked() -> None:
    assert cut_to_tokens("Une phrase. Une autre phrase.", 20, len) == "Une phrase. […]"
    assert cut_to_tokens("Une phrase.", 20, len) == "Une phrase."
    assert cut_to_tokens("Une phrase bien trop longue.", 10, len) == ""


@given(st.lists(st.text("abc. \n", min_size=1, max_size=200), max_size=6), st.integers(0, 600))
def test_articles_stay_within_their_budget(texts: list[str], budget: int) -> None:
    articles, used = fit_articles([hit(f"L1234-{i}", text) for i, text in enumerate(texts, 1)], budget, len)
    assert len(articles) == len(used)
    assert sum(len(f"[{a.number}] {a.title}\n\n{a.text}") for a in articles) <= budget
