"""Waits until the server that was just started can answer, then prints how to use it.

Runs beside the server as a process of its own, because gunicorn forks and a fork must not carry threads along.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request

GIVE_UP_AFTER = 600.0  # seconds: a large model on a slow disk

BANNER = """
Chat: {url}/#key={key}
Swagger: {url}/docs
API key: {key}
Operator's page: {url}/admin/ui (its key: python -m ai_core keys create NAME --scope admin --scope models)

curl -s {url}/api/v1/chat -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \
-d '{{"message": "Quelle est la durée légale du travail ?"}}'

Ctrl-C stops the server.
"""


def announce(url: str, key: str) -> int:
    """Poll readiness at `url` and print the banner once it serves. Returns an exit status."""
    parent = os.getppid()
    give_up = time.monotonic() + GIVE_UP_AFTER
    while time.monotonic() < give_up and os.getppid() == parent:
        if _serves(url):
            print(BANNER.format(url=url, key=key), flush=True)
            return 0
        time.sleep(0.2)
    return 1


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as response:  # noqa: S310 - our own server
            return bool(json.load(response)["components"]["model"]["status"] == "ok")
    except (OSError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    sys.exit(announce(sys.argv[1], sys.stdin.read().strip()))
