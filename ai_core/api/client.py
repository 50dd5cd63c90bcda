"""The client of the request being served: whether it is still there, and what it says of caches."""

from __future__ import annotations

import socket

from flask import request

from ai_core.answer import CacheUse


class ClientConnection:
    """Watches the connection of the current request where the server lends its socket (gunicorn does)."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = request.environ.get("gunicorn.socket")

    def is_gone(self) -> bool:
        """True once the client has closed its side: nobody would read the rest of the answer."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True


def cache_wishes() -> CacheUse:
    """What the request's Cache-Control asks for (RFC 9111, 5.2.1)."""
    wishes = request.cache_control
    return CacheUse(read=not (wishes.no_cache or wishes.no_store), keep=not wishes.no_store)
