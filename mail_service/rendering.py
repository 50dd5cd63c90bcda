"""Templates: our own or the operator's, in HTML and plain text; the model's Markdown becomes safe HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import nh3
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup

from mail_service import texts

BUILT_IN = Path(__file__).parent / "templates"
KINDS = ("answer", "apology")
FILES = {"answer": "reply", "apology": "apology"}
PARIS = ZoneInfo("Europe/Paris")
TAGS = {"p", "br", "strong", "em", "ul", "ol", "li", "blockquote", "code", "pre", "h3", "h4", "table", "thead", "tbody",
        "tr", "th", "td", "hr", "a"}  # fmt: skip
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}
_HEADINGS = {"h1": "h3", "h2": "h4"}


class TemplateBroken(Exception):
    """A template cannot be used; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Source:
    """An article that an answer rests on."""

    number: str
    title: str
    url: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says; the names of its fields are those that templates use. `ai_response` is Markdown."""

    ai_response: str
    sender_name: str
    original_subject: str
    response_date: datetime
    thread_id: str
    sources: Sequence[Source] = ()
    notices: Sequence[str] = ()


SAMPLE = Letter(
    ai_response="La durée légale est de **35 heures** par semaine :\n\n- au-delà, les heures sont supplémentaires ;\n"
    "- elles sont majorées de 25 %, puis de 50 %.\n",
    sender_name="Camille Exemple",
    original_subject="Durée du travail",
    response_date=datetime(2026, 3, 3, 9, 12, tzinfo=ZoneInfo("UTC")),
    thread_id="0123456789abcdef",
    sources=(
        Source(
            "L3121-27",
            "Article L3121-27 du Code du travail",
            "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020376",
            "La durée légale de travail effectif des salariés à temps complet est fixée à trente-cinq heures.",
        ),
    ),
    notices=("Cette réponse est un exemple.",),
)


class Templates:
    """Renders letters. Files in `directory` take the place of our own of the same name."""

    def __init__(self, directory: Path | None = None) -> None:
        folders = [str(folder) for folder in (directory, BUILT_IN) if folder is not None]
        # In a sandbox: a template that came from elsewhere, with an import perhaps, shows values and runs nothing.
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader(folders),
            autoescape=jinja2.select_autoescape(["html"]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def check(self) -> None:
        """Render every template once. Raises TemplateBroken."""
        for kind in KINDS:
            html, text = self.render(kind, SAMPLE)
            for name, rendered, expected in (("html", html, "35 heures"), ("txt", text, "35 heures")):
                if expected not in rendered:
                    raise TemplateBroken(f"{FILES[kind]}.{name}: does not show ai_response")
                if "avocat" not in rendered:
                    raise TemplateBroken(f"{FILES[kind]}.{name}: does not show the disclaimer")

    def render(self, kind: str, letter: Letter) -> tuple[str, str]:
        """HTML and plain text of `letter`; `kind` is answer or apology. Raises TemplateBroken."""
        name = FILES[kind]
        values = self._values(letter)
        return self._render(f"{name}.html", values), self._render(f"{name}.txt", values)

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(values)
        except (jinja2.TemplateError, OSError, UnicodeDecodeError, TypeError, ValueError) as error:
            place = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise TemplateBroken(f"{name}{place}: {error}") from error

    def _values(self, letter: Letter) -> Mapping[str, Any]:
        return {
            "header": texts.HEADER,
            "signature": texts.SIGNATURE,
            "disclaimer": texts.DISCLAIMER,
            "greeting": texts.greeting,
            "ai_response": letter.ai_response.strip(),
            "ai_response_html": self._safe_html(letter.ai_response),
            "sender_name": letter.sender_name,
            "original_subject": letter.original_subject,
            "response_date": french_date(letter.response_date),
            "thread_id": letter.thread_id,
            "sources": letter.sources,
            "notices": letter.notices,
        }

    def _safe_html(self, markdown: str) -> Markup:
        html = self._markdown.render(markdown)
        for found, smaller in _HEADINGS.items():
            html = html.replace(f"<{found}>", f"<{smaller}>").replace(f"</{found}>", f"</{smaller}>")
        clean = nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https"})
        return Markup(clean)  # noqa: S704 - nh3 has let nothing through but these tags


def french_date(moment: datetime) -> str:
    """As it is written in France, at the time of Paris: 3 mars 2026 à 10 h 12."""
    there = moment.astimezone(PARIS)
    day = "1er" if there.day == 1 else str(there.day)
    return f"{day} {texts.MONTHS[there.month - 1]} {there.year} à {there.hour} h {there.minute:02}"
