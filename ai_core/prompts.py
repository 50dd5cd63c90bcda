"""What the model reads: the system prompt, the grounded question, the model's own chat template.

A chat template comes with a model and is code, so it runs in Jinja's sandbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

SYSTEM_PROMPT_VERSION = "1"
SYSTEM_PROMPT = (
    "Tu es l'assistant Code du Travail Neo, expert en droit du travail français. "
    "Réponds en français, avec précision, en t'appuyant sur les articles fournis et en citant leur numéro. "
    "Si tu ne sais pas, dis-le. Tes réponses sont des informations générales, pas un conseil juridique."
)

ARTICLES_HEADER = "Articles du Code du travail :"
NO_ARTICLE = "Aucun article du Code du travail ne correspond à la question."
QUESTION_LABEL = "Question : "
CUT_MARK = " […]"

CHATML_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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


class TemplateFailed(ValueError):
    """The model's chat template cannot render these messages."""


def grounded_message(question: str, articles: Sequence[PromptArticle]) -> str:
    """The user's turn with the articles found for it, best first; the demonstration model is trained on this form."""
    if not articles:
        return f"{NO_ARTICLE}\n\n{QUESTION_LABEL}{question}"
    blocks = [f"[{article.number}] {article.title}\n{article.text}" for article in articles]
    return "\n\n".join([ARTICLES_HEADER, *blocks, f"{QUESTION_LABEL}{question}"])


def render(messages: Sequence[Message], template: str | None, *, bos: str = "", eos: str = "") -> str:
    """Render `messages` with a model's Jinja chat template (ChatML where the model has none), ready for the answer.

    Raises TemplateFailed, for instance for a template that knows no system role.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return _compile(template or CHATML_TEMPLATE).render(
            messages=turns, add_generation_prompt=True, bos_token=bos, eos_token=eos
        )
    except (TemplateError, TypeError, KeyError) as error:
        raise TemplateFailed(str(error)) from error


@lru_cache(maxsize=8)
def _compile(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _raise_exception
    return environment.from_string(template)


def _raise_exception(message: str) -> Any:
    # Hugging Face templates call this for roles or orders that they do not support.
    raise TemplateError(message)
