"""/knowledge: search the Code du travail, and read one of its articles."""

from __future__ import annotations

from typing import Any

from ai_core.api.access import SECURITY, requires
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.api.knowledge_schemas import ANY, ArticleSchema, SearchResultSchema, SearchResultsSchema, SearchSchema
from ai_core.api.schemas import clean
from ai_core.grounding import ARTICLE, SHEET, Source, source_of, source_of_sheet
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.current import CurrentKnowledge
from common.errors import ServiceError

RESULT_FIELDS = tuple(SearchResultSchema().fields)


def knowledge_blueprint(knowledge: CurrentKnowledge) -> Blueprint:
    """The routes over the revision in use."""
    blueprint = Blueprint("knowledge", __name__, url_prefix="/api/v1/knowledge", description="The Code du travail")

    @blueprint.route("/search", methods=["GET"])
    @requires("chat")
    @errors(blueprint, *KEYED, 414, 422, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(SearchSchema, location="query")
    @blueprint.response(200, SearchResultsSchema)
    def search(query: dict[str, Any]) -> dict[str, Any]:
        """Search by question or by article number, best first"""
        found = _found(_installed(knowledge), query["q"], query["limit"], query["kind"])
        return {"results": [{name: getattr(source, name) for name in RESULT_FIELDS} for source in found]}

    @blueprint.route("/articles/<string:number>", methods=["GET"])
    @requires("chat")
    @errors(blueprint, *KEYED, 404, 414, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ArticleSchema)
    def article(number: str) -> dict[str, Any]:
        """Read one article; its number in any spelling"""
        base = _installed(knowledge)
        found = base.article(clean(number))
        if found is None:
            raise ServiceError(404, "unknown_article", "The Code du travail has no such article.")
        return {
            "number": found.number,
            "title": found.title,
            "section": list(found.section_path),
            "text": found.text,
            "nota": found.nota,
            "url": found.url,
            "state": found.state,
            "in_force_from": found.in_force_from,
            "in_force_until": found.in_force_until,
            "revision": base.revision,
        }

    return blueprint


def _found(base: KnowledgeBase, query: str, limit: int, kind: str) -> list[Source]:
    """Articles and sheets by score; of equals the article comes first."""
    found: list[Source] = []
    if kind in (ARTICLE, ANY):
        found += [source_of(hit) for hit in base.search(query, limit)]
    if kind in (SHEET, ANY):
        found += [source_of_sheet(hit) for hit in base.search_sheets(query, limit)]
    return sorted(found, key=lambda source: -source.score)[:limit]


def _installed(knowledge: CurrentKnowledge) -> KnowledgeBase:
    base = knowledge.get()
    if base is None:
        raise ServiceError(503, "knowledge_missing", "The Code du travail is not installed here.", retry_after=60)
    return base
