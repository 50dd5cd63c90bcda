"""Where a download may be led: a Hub on the internet does not send us into the networks behind this machine.

Redirects to storage on other hosts are how the Hub works; one to a service that only this machine can reach (another
port of its own, the metadata address of a cloud) is an attack (CWE-918). A Hub that is itself within our networks, a
mirror, may lead anywhere.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx2

from ai_core.catalog.downloads.errors import DownloadError
from common.networks import is_public


class Reach:
    """Called before each request of a client, redirects included. `endpoint` is the Hub's address."""

    def __init__(self, endpoint: str) -> None:
        self._host = urlsplit(endpoint).hostname or ""
        self._is_bounded = _is_public_host(self._host)

    def __call__(self, request: httpx2.Request) -> None:
        """Raises DownloadError."""
        host = request.url.host
        if self._is_bounded and host != self._host and not _is_public_host(host):
            raise DownloadError("redirect_refused", "The Hub leads to an address inside our own networks.")


def bounded(client: httpx2.Client, endpoint: str) -> httpx2.Client:
    """`client`, which goes where the Hub at `endpoint` may lead."""
    hooks = client.event_hooks
    others = [hook for hook in hooks.get("request", []) if not isinstance(hook, Reach)]
    client.event_hooks = {**hooks, "request": [*others, Reach(endpoint)]}
    return client


def _is_public_host(host: str) -> bool:
    """Whether all its addresses are. A name that cannot be resolved here is reached by a proxy, or not at all."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(is_public(str(place[0])) for *_, place in found)
