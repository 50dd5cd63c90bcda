"""The services, asked for their own state: model, queues, database, Redis."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from common.health import Check, Status

TIMEOUT = 15.0  # seconds


def check_service(url: str) -> dict[str, Check]:
    """The parts of the service at `url`, by name, as /health/ready tells them; one named "answers" if it cannot."""
    try:
        body = _readiness(url)
    except (OSError, ValueError) as error:
        return {"answers": Check(Status.DOWN, f"{url} does not answer: {type(error).__name__}.")}
    return {name: Check(Status(part["status"]), part["detail"]) for name, part in body["components"].items()}


def _readiness(url: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/health/ready")  # noqa: S310 - an address of the host's own file
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - the same
            raw = response.read()
    except urllib.error.HTTPError as error:
        raw = error.read()  # 503 says which part is down
    body = json.loads(raw)
    if not isinstance(body, dict) or "components" not in body:
        raise ValueError("no readiness")
    return body
