"""What an HTTP status other than 200 means. Nothing of the server's text goes on: it may quote the question."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.errors import (
    KeyRefused,
    NotThere,
    RefusedAsTooLong,
    RemoteError,
    RequestRefused,
    ServerBusy,
    ServerFailed,
)

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds that we leave a busy server alone, whatever it says
_TOO_LONG = re.compile(
    r"context (length|size|window)|context_length|exceed_context|maximum.{0,20}length", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z_.-]{1,60}")


def refusal(address: Address, status: int, retry_after: str | None, body: bytes) -> RemoteError:
    """The error for an answer with `status` and that Retry-After header."""
    error = _error(body)
    told = f"{address}: HTTP {status}{_kind(error)}"
    if status in (401, 403):
        return KeyRefused(f"{told}: it refuses our API key")
    if status == 429 or (status == 503 and retry_after is not None):
        return ServerBusy(told, _pause(retry_after))
    if status in (404, 405, 501):
        return NotThere(f"{told}: it does not speak the OpenAI API, or has another model")
    if status < 400:
        return ServerFailed(f"{told}: it does not speak the OpenAI API")
    if status >= 500 or status == 408:
        # One answer may fail for its own sake, so it takes several to say that the server does.
        return ServerFailed(told, at_once=status in (502, 503, 504))
    if _TOO_LONG.search(f"{error.get('type')} {error.get('code')} {error.get('message')}"):
        return RefusedAsTooLong(f"the prompt is too long for the server{_figures(error)}")
    return RequestRefused(f"the server refused the request with status {status}{_kind(error)}")


def refusal_in_stream(address: Address, error: Any) -> RemoteError:
    """The error for an "error" among the events of a stream."""
    told = error if isinstance(error, dict) else {}
    if _TOO_LONG.search(f"{told.get('type')} {told.get('code')} {told.get('message')}"):
        return RefusedAsTooLong(f"the prompt is too long for the server{_figures(told)}")
    return ServerFailed(f"{address}: failed while it answered{_kind(told)}", at_once=False)


def _error(body: bytes) -> dict[str, Any]:
    """OpenAI and llama-server nest the error, older vLLM does not."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    nested = told.get("error", told) if isinstance(told, dict) else None
    return nested if isinstance(nested, dict) else {}


def _kind(error: Mapping[str, Any]) -> str:
    """The error's type where it is a plain word."""
    kind = error.get("type")
    return f" ({kind})" if isinstance(kind, str) and _WORD.fullmatch(kind) else ""


def _figures(error: Mapping[str, Any]) -> str:
    """llama-server tells them apart from its message."""
    needed, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
    return f": {needed} tokens, {limit} fit" if isinstance(needed, int) and isinstance(limit, int) else ""


def _pause(retry_after: str | None) -> float:
    """Seconds; a date, which the header may hold too, counts as the shortest pause."""
    try:
        seconds = float(retry_after or 0)
    except ValueError:
        return SHORTEST_PAUSE
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE) if math.isfinite(seconds) else SHORTEST_PAUSE
