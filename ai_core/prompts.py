"""What the model reads: the system prompt, the grounded question, the model's own chat template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from ai_core.template_sandbox import compiled

SYSTEM_PROMPT_VERSION = "1"
SYSTEM_PROMPT = (
    "Tu es l'assistant Code du Travail Neo, expert en droit du travail français. "
    "Réponds en français, avec précision, en t'appuyant sur les articles fournis et en citant leur numéro. "
    "Si tu ne sais pas, dis-le. Tes réponses sont des informations générales, pas un conseil juridique."
)

ARTICLES_HEADER = "Articles du Code du travail :"
SHEET_HEADER = (
    "Fiche pratique de service-public.fr (explication courante, parfois ancienne ; en cas de différence, les articles "
    "ci-dessus font foi et ce sont eux qu'il faut citer) :"
)
SHEET_LABEL = "Fiche "
UPDATED_LABEL = "mise à jour : "
CHANGED_LABEL = "modifiés depuis : "
NO_ARTICLE = "Aucun article du Code du travail ne correspond à la question."
QUESTION_LABEL = "Question : "
CUT_MARK = " […]"

CHATML_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


_MARK = "\ue000"  # private use: no template has it, and contents are put in after the split
_MARKED = re.compile(f"{_MARK}(\\d+){_MARK}")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class PromptArticle:
    """An article as the model reads it; `text` may have been cut to the budget."""

    number: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class PromptSheet:
    """A part of a practical sheet as the model reads it. `updated` is the day of its last change, ISO 8601; `changed`
    are articles that it names and that changed since."""

    number: str
    title: str
    updated: str | None
    changed: tuple[str, ...]
    text: str


class TemplateFailed(ValueError):
    """The model's chat template cannot render these messages."""


def grounded_message(question: str, articles: Sequence[PromptArticle], sheet: PromptSheet | None = None) -> str:
    """The user's turn with the articles found for it, best first, and the practical sheet that goes with them; the
    demonstration model is trained on the form without a sheet."""
    if not articles:
        return f"{NO_ARTICLE}\n\n{QUESTION_LABEL}{question}"
    blocks = [ARTICLES_HEADER, *(f"[{article.number}] {article.title}\n{article.text}" for article in articles)]
    if sheet is not None:
        blocks.append(sheet_block(sheet))
    return "\n\n".join([*blocks, f"{QUESTION_LABEL}{question}"])


def sheet_block(sheet: PromptSheet) -> str:
    """The practical sheet in the user's turn."""
    told = [f"{UPDATED_LABEL}{sheet.updated}"] if sheet.updated else []
    told += [f"{CHANGED_LABEL}{', '.join(sheet.changed)}"] if sheet.changed else []
    day = f" ({' ; '.join(told)})" if told else ""
    return f"{SHEET_HEADER}\n\n[{SHEET_LABEL}{sheet.number}] {sheet.title}{day}\n{sheet.text}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered prompt. In a `trusted` one the names of control tokens become control tokens."""

    text: str
    trusted: bool


def render(messages: Sequence[Message], template: str | None, *, bos: str = "", eos: str = "") -> list[Segment]:
    """Render `messages` with a model's Jinja chat template (ChatML where the model has none), ready for the answer.

    What people wrote stays in segments of its own, so that a "<|im_end|>" typed by a person is plain text. The template
    and the system prompt are trusted. The first segment ends where the first turn of a person begins: it is what all
    requests share. Raises TemplateFailed.
    """
    try:
        return _segments(messages, template or CHATML_TEMPLATE, bos, eos)
    except TemplateFailed:
        if not messages or messages[0].role != "system":
            raise
        # Some families know no system role: their convention is to open the first user turn with it.
        return _segments(_system_in_user_turn(messages), template or CHATML_TEMPLATE, bos, eos)


def _segments(messages: Sequence[Message], template: str, bos: str, eos: str) -> list[Segment]:
    marks = [f"{_MARK}{index}{_MARK}" for index in range(len(messages))]
    turns = [{"role": message.role, "content": mark} for message, mark in zip(messages, marks, strict=True)]
    try:
        text = compiled(template).render(
            messages=turns, add_generation_prompt=True, bos_token=bos, eos_token=eos, tools=None, documents=None
        )
    except (TemplateError, TypeError, LookupError, AttributeError, ValueError, ArithmeticError) as error:
        raise TemplateFailed(str(error)) from error
    if any(text.count(mark) != 1 for mark in marks):
        raise TemplateFailed("the chat template drops or repeats a message")
    pieces: list[Segment] = []
    for index, piece in enumerate(_MARKED.split(text)):
        is_content = index % 2 == 1
        if is_content:
            message = messages[int(piece)]
            pieces.append(Segment(message.content, trusted=message.role == "system"))
        else:
            pieces.append(Segment(piece, trusted=True))
    return _joined(pieces)


def _joined(pieces: Sequence[Segment]) -> list[Segment]:
    joined: list[Segment] = []
    for piece in pieces:
        if joined and joined[-1].trusted == piece.trusted:
            joined[-1] = Segment(joined[-1].text + piece.text, piece.trusted)
        elif piece.text:
            joined.append(piece)
    return joined


def _system_in_user_turn(messages: Sequence[Message]) -> list[Message]:
    system, first, *rest = messages
    return [Message(first.role, f"{system.content}\n\n{first.content}"), *rest]
