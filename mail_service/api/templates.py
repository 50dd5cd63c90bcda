"""/api/v1/templates: how a reply looks, with invented content."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.errors import InvalidFields
from mail_service.rendering import KINDS, SAMPLE, Templates

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"  # mails carry their style inline


def templates_blueprint(templates: Templates) -> Blueprint:
    """The route."""
    blueprint = Blueprint("templates", __name__, url_prefix="/api/v1/templates")

    @blueprint.get(f"/<any({', '.join(KINDS)}):kind>/preview")
    def preview(kind: str) -> Response:
        """As people get it: ?format=html or txt"""
        wanted = request.args.get("format", "html")
        if wanted not in ("html", "txt"):
            raise InvalidFields({"format": ["html or txt."]})
        html, text = templates.render(kind, SAMPLE)
        if wanted == "txt":
            return Response(text, content_type="text/plain; charset=utf-8")
        response = Response(html, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return blueprint
