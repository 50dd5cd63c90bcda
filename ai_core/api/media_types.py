"""What type of body a route takes: JSON, unless its view says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from common.errors import ServiceError

View = TypeVar("View", bound=Callable[..., Any])

JSON = "application/json"
FORM = "multipart/form-data"


def accepts(media_type: str) -> Callable[[View], View]:
    """Declare that a view takes bodies of `media_type`."""

    def declare(view: View) -> View:
        view.media_type = media_type  # type: ignore[attr-defined]
        return view

    return declare


def refuse_other_bodies(app: Flask) -> None:
    """Answer 415 to a body of another type than its route takes."""

    def check() -> None:
        if request.method != "POST" or request.endpoint is None or not _has_body():
            return
        wanted = getattr(current_app.view_functions[request.endpoint], "media_type", JSON)
        fits = request.is_json if wanted == JSON else request.mimetype == wanted
        if not fits:
            raise ServiceError(415, "unsupported_media_type", f"Send the body as {wanted}.")

    app.before_request(check)


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers
