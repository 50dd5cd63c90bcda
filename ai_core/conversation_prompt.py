"""The prompt of one question, fitted to the model's context: question first, then articles, then the latest turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai_core.engine.serving import LanguageModel
from ai_core.fallback_templates import fallback_template
from ai_core.grounding import fit_articles, fit_sheet
from ai_core.knowledge.search import SearchHit
from ai_core.knowledge.sheet_search import SheetHit
from ai_core.prompts import Message, PromptArticle, PromptSheet, Segment, grounded_message, render
from ai_core.role_marks import without_marks

ANSWER_SHARE = 0.25  # of the context is kept for the answer when max_tokens asks for more
ARTICLES_SHARE = 0.75  # of what the question leaves, so that a long conversation keeps some of its turns


class QuestionTooLong(ValueError):
    """The question alone does not fit. Both figures are in tokens."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"{tokens} tokens, at most {limit} fit")
        self.tokens = tokens
        self.limit = limit


@dataclass(frozen=True, slots=True)
class ConversationPrompt:
    """Tokens for the engine. The first `shared_prefix` of them are nobody's: the system prompt and, where no earlier
    turn comes between, the articles, the same for all who ask about them. `messages` are the (role, content) pairs that
    they come from, for remote servers, which apply a chat template themselves."""

    tokens: list[int]
    messages: tuple[tuple[str, str], ...]
    shared_prefix: int
    articles: tuple[PromptArticle, ...]
    hits: tuple[SearchHit, ...]
    dropped_turns: int
    sheet: SheetHit | None = None

    @classmethod
    def build(
        cls,
        model: LanguageModel,
        *,
        system: str,
        question: str,
        history: Sequence[Message],
        hits: Sequence[SearchHit] | None,
        max_tokens: int,
        sheet: SheetHit | None = None,
    ) -> ConversationPrompt:
        """Fit what there is into the context. `hits` is None where no search was made; `sheet` only goes with articles.
        Raises QuestionTooLong."""
        count = _counter(model)
        question = without_marks(question)
        context = model.info.context_length
        limit = context - min(max_tokens, int(context * ANSWER_SHARE))
        bare = grounded_message(question, ()) if hits is not None else question
        fixed = len(_tokens(model, _messages(system, (), bare))[0])
        if fixed > limit:
            raise QuestionTooLong(count(question), max(0, limit - fixed + count(question)))
        content = question
        articles: list[PromptArticle] = []
        used: list[SearchHit] = []
        told: PromptSheet | None = None
        if hits is not None:
            budget = int((limit - fixed) * (ARTICLES_SHARE if history else 1.0))
            fitted = fit_sheet(sheet, budget, count) if sheet is not None else None
            articles, used = fit_articles(hits, budget - (0 if fitted is None else fitted[1]), count)
            told = fitted[0] if fitted is not None and articles else None
            content = without_marks(grounded_message(question, articles, told))
        turns = _alternating(history)
        room = limit - len(_tokens(model, _messages(system, (), content))[0])
        kept = _latest(turns, room, lambda turn: count(turn.content), _marks_of_a_pair(model, system))
        messages = _messages(system, kept, content)
        public = content.removesuffix(question) if articles and not kept else ""
        tokens, shared_prefix = _tokens(model, messages, public)
        return cls(
            tokens=tokens,
            messages=tuple((message.role, message.content) for message in messages),
            shared_prefix=shared_prefix,
            articles=tuple(articles),
            hits=tuple(used),
            sheet=None if told is None else sheet,
            dropped_turns=len(turns) - len(kept),
        )


def _counter(model: LanguageModel) -> Callable[[str], int]:
    return lambda text: len(model.tokenize(text, special=False))


def _messages(system: str, turns: Sequence[Message], content: str) -> list[Message]:
    return [Message("system", system), *turns, Message("user", content)]


def _tokens(model: LanguageModel, messages: Sequence[Message], public: str = "") -> tuple[list[int], int]:
    """With the number of tokens that are nobody's: what comes before the first turn of a person, and `public`, with
    which that turn begins, up to the tokens that it might share with what the person wrote."""
    info = model.info
    bos, eos = info.bos_token, info.eos_token
    template = info.chat_template or fallback_template(info.architecture, bos=bos, eos=eos)
    segments: list[Segment] = render(messages, template, bos=bos, eos=eos)
    pieces = [model.tokenize(segment.text, special=segment.trusted) for segment in segments]
    shared = len(pieces[0]) if segments[0].trusted else 0
    if shared and public and segments[1].text.startswith(public):
        shared += _common(model.tokenize(public, special=False), pieces[1])
    return [token for piece in pieces for token in piece], shared


def _common(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )


def _alternating(history: Sequence[Message]) -> list[Message]:
    """Turns as chat templates demand them: user first, then by turns, the assistant last; no turn opens another."""
    turns: list[Message] = []
    for message in (Message(turn.role, without_marks(turn.content)) for turn in history):
        if turns and turns[-1].role == message.role:
            turns[-1] = Message(message.role, f"{turns[-1].content}\n\n{message.content}")
        elif turns or message.role == "user":
            turns.append(message)
    if turns and turns[-1].role == "user":
        turns.pop()  # it was never answered
    return turns


def _marks_of_a_pair(model: LanguageModel, system: str) -> int:
    """Tokens that the template puts around a question and its answer."""
    pair = (Message("user", ""), Message("assistant", ""))
    return len(_tokens(model, _messages(system, pair, ""))[0]) - len(_tokens(model, _messages(system, (), ""))[0])


def _latest(turns: Sequence[Message], budget: int, count: Callable[[Message], int], marks: int) -> list[Message]:
    """The latest pairs of turns that fit `budget` tokens, with `marks` more for each pair."""
    kept: list[Message] = []
    for start in range(len(turns) - 2, -1, -2):
        pair = list(turns[start : start + 2])
        budget -= sum(map(count, pair)) + marks
        if budget < 0:
            break
        kept = pair + kept
    return kept
