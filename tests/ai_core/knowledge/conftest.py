"""The small invented code for most tests, the whole Code du travail for the few that are about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import peewee
import pytest

from ai_core.knowledge.article import Article
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.legi import parse_code
from ai_core.knowledge.package import read_package
from ai_core.storage import open_storage
from tests.ai_core.knowledge.small_code import SMALL_CODE
from tests.corpus import legi_package

TODAY = date(2026, 6, 1)


@pytest.fixture
def small_articles() -> list[Article]:
    return parse_code(json.dumps(SMALL_CODE).encode(), "small.json", TODAY)


@pytest.fixture
def small_base(small_articles: list[Article]) -> KnowledgeBase:
    return KnowledgeBase("small", small_articles, SearchIndex.build(small_articles))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[peewee.Database]:
    opened = open_storage(f"sqlite:///{tmp_path}/test.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def code_package() -> Path:
    """The real package."""
    return legi_package()


@pytest.fixture(scope="session")
def real_articles(code_package: Path) -> list[Article]:
    code = read_package(code_package)
    return parse_code(code.content, code.source, TODAY)


@pytest.fixture(scope="session")
def real_base(real_articles: list[Article]) -> KnowledgeBase:
    return KnowledgeBase("real", real_articles, SearchIndex.build(real_articles))
