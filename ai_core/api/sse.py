"""Server-Sent Events (WHATWG HTML, section 9.2): how an answer is streamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MIME_TYPE = "text/event-stream"
EVENT_SCHEMA = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["data"],
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "description": "JSON, but for [DONE]."}},
}
"""For the OpenAPI document: what each event of a stream is."""
HEARTBEAT = (
    ": \n\n"  # a comment, which clients skip; it finds a dead connection and keeps proxies from closing a slow one
)

HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would hold events back otherwise
}


def event(name: str, data: Mapping[str, Any]) -> str:
    """One event; JSON has no raw newline, so one data line suffices."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def unnamed(value: Mapping[str, Any]) -> str:
    """One event without a name, as OpenAI's API streams."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
