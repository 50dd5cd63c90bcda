"""Retrieval measured: `python -m tests.benchmarks.search --questions FILE [--source PACKAGE_OR_JSON] [--json OUT]`.

Prints a table of hit@1, hit@5, hit@10, MRR@10 and search times: plain BM25, ours, and ours without one of its ideas at
a time, in the same run; then whether each article is found by its own number. FILE is a JSON list of
`{"query", "gold": [article numbers]}`; an answer counts when one of `gold` is among the first 10 articles.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path

import bm25s
import numpy as np
import Stemmer

from ai_core.knowledge.article import Article
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.errors import KnowledgeError
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.legi import parse_code
from ai_core.knowledge.package import read_package
from ai_core.knowledge.registry import fetch_package
from ai_core.knowledge.search import Ranking, Searcher
from tests.benchmarks.search_memory import memory_of_a_process

DEPTH = 10  # articles looked at for a question
ABLATIONS = {
    "synonyms": Ranking(synonyms=False),
    "word pairs": Ranking(pairs=0.0),
    "section titles' closeness": Ranking(title=0.0),
    "the section's average": Ranking(section=0.0),
    "room for a second section": Ranking(repeated_section=1.0),
    "law before decrees": Ranking(regulations=1.0, decrees=1.0),
    "rule before details": Ranking(details=0.0),
    "what others refer to": Ranking(cited=0.0),
    "titles that say more": Ranking(excess=0.0),
}

Search = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of questions in 0..1, milliseconds for one search, seconds for the index."""

    name: str
    hit_1: float
    hit_5: float
    hit_10: float
    mrr_10: float
    p50_ms: float
    p95_ms: float
    build_s: float


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    query: str
    gold: frozenset[str]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        questions = read_questions(options.questions)
        with tempfile.TemporaryDirectory() as directory:
            package = options.source or fetch_package(Path(directory), print)
            return _report(options, questions, package)
    except (KnowledgeError, ValueError) as error:
        print(f"bench-search: {error}", file=sys.stderr)
        return 2


def _report(options: argparse.Namespace, questions: Sequence[JudgedQuestion], package: Path) -> int:
    code = read_package(package)
    articles = parse_code(code.content, code.source, date.today())
    print(f"{len(questions)} questions, {len(articles)} articles")
    figures = [
        measure("plain BM25", lambda: plain_bm25(articles), questions),
        measure("ours", lambda: ours(articles), questions),
    ]
    index = SearchIndex.build(articles)
    figures += [
        measure(f"  without {idea}", partial(without, articles, index, ranking), questions)
        for idea, ranking in ABLATIONS.items()
    ]
    print_table(figures)
    found = found_by_number(articles)
    print(f"found first by their own number: {found} of {len(articles)}")
    memory = memory_of_a_process(package)
    print(f"memory of the loaded revision, articles and index: {memory:.0f} MB")
    if options.json:
        report = {
            "questions": len(questions),
            "found_by_number": found,
            "memory_mb": memory,
            "figures": [asdict(row) for row in figures],
        }
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


def read_questions(path: Path) -> list[JudgedQuestion]:
    """Raises ValueError, which names the file and what was expected."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Give --questions a JSON list of {{query, gold}}.")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        questions = [JudgedQuestion(row["query"], frozenset(row["gold"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a JSON list of {{query, gold}} ({error!r}).") from error
    if not questions:
        raise ValueError(f"{path}: there is no question in it.")
    return questions


def measure(name: str, build: Callable[[], Search], questions: Sequence[JudgedQuestion]) -> Figures:
    """Build a search, ask it every question, and count."""
    started = time.perf_counter()
    search = build()
    build_s = time.perf_counter() - started
    search(questions[0].query)  # the first call of a process pays for caches that later ones share
    ranks, milliseconds = [], []
    for question in questions:
        started = time.perf_counter()
        found = search(question.query)
        milliseconds.append((time.perf_counter() - started) * 1000)
        ranks.append(first_rank(found[:DEPTH], question.gold))
    share = [sum(0 < rank <= limit for rank in ranks) / len(ranks) for limit in (1, 5, 10)]
    mrr = sum(1 / rank for rank in ranks if rank) / len(ranks)
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return Figures(name, share[0], share[1], share[2], mrr, float(p50), float(p95), build_s)


def first_rank(found: Sequence[str], gold: frozenset[str]) -> int:
    """The rank (from 1) of the first gold article, 0 when there is none."""
    return next((rank for rank, number in enumerate(found, start=1) if number in gold), 0)


def plain_bm25(articles: Sequence[Article]) -> Search:
    """What the goal is measured from: BM25 with a French stemmer over the last three section titles and the text."""
    stemmer = Stemmer.Stemmer("french")
    corpus = [" ".join((*article.section_path[-3:], article.text)) for article in articles]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(corpus, stopwords="fr", stemmer=stemmer, show_progress=False), show_progress=False)

    def search(query: str) -> list[str]:
        tokens = bm25s.tokenize(query, stopwords="fr", stemmer=stemmer, show_progress=False, return_ids=False)[0]
        scores = index.get_scores(tokens) if tokens else np.zeros(len(articles))
        return [articles[int(position)].number for position in np.argsort(-scores, kind="stable")[:DEPTH]]

    return search


def ours(articles: Sequence[Article]) -> Search:
    """The search that the service runs."""
    base = KnowledgeBase("bench", list(articles), SearchIndex.build(articles))
    return lambda query: [hit.article.number for hit in base.search(query, limit=DEPTH)]


def without(articles: Sequence[Article], index: SearchIndex, ranking: Ranking) -> Search:
    """Ours, with another ranking."""
    searcher = Searcher(articles, index, ranking)
    return lambda query: [hit.article.number for hit in searcher.search(query, DEPTH)]


def found_by_number(articles: Sequence[Article]) -> int:
    """How many articles come first where their own number is asked for."""
    base = KnowledgeBase("bench", list(articles), SearchIndex.build(articles))
    firsts = ((article.number, base.search(article.number, limit=1)) for article in articles)
    return sum(bool(hits) and hits[0].article.number == number for number, hits in firsts)


def print_table(figures: Sequence[Figures]) -> None:
    print(f"{'':<34} {'hit@1':>6} {'hit@5':>6} {'hit@10':>6} {'MRR@10':>6} {'p50 ms':>7} {'p95 ms':>7} {'build s':>8}")
    for row in figures:
        print(
            f"{row.name:<34} {row.hit_1:6.3f} {row.hit_5:6.3f} {row.hit_10:6.3f} {row.mrr_10:6.3f}"
            f" {row.p50_ms:7.1f} {row.p95_ms:7.1f} {row.build_s:8.1f}"
        )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description="measure retrieval")
    parser.add_argument("--questions", type=Path, required=True, help="JSON list of {query, gold}")
    parser.add_argument("--source", type=Path, help="legi-data package or JSON; default: the newest from the registry")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
