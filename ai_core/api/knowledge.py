"""/knowledge: search the Code du travail, and read one of its articles."""

from __future__ import annotations

from typing import Any

from ai_core.api.access import SECURITY, requires
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.api.knowledge_schemas import ArticleSchema, SearchResultsSchema, SearchSchema
from ai_core.api.schemas import clean
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.current import CurrentKnowledge
from common.errors import ServiceError


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
        hits = _installed(knowledge).search(query["q"], limit=query["limit"])
        return {
            "results": [
                {
                    "kind": "article",
                    "number": hit.article.number,
                    "title": hit.article.title,
                    "section": list(hit.article.section_path),
                    "excerpt": hit.excerpt,
                    "url": hit.article.url,
                    "score": round(hit.score, 4),
                }
                for hit in hits
            ]
        }

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


def _installed(knowledge: CurrentKnowledge) -> KnowledgeBase:
    base = knowledge.get()
    if base is None:
        raise ServiceError(503, "knowledge_missing", "The Code du travail is not installed here.", retry_after=60)
    return base
