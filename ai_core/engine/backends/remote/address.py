"""Where a server is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ai_core.engine.backends.base import BackendError

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server by host and port. `api` is the path before /chat/completions, `root` the path before /health."""

    host: str
    port: int
    tls: bool
    root: str
    api: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """From http://HOST:PORT, with or without /v1. Raises BackendError, which does not repeat what may be secret."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise BackendError("urls: an address cannot be read") from error
        if host is None or parts.scheme not in PORTS or parts.username or parts.query or parts.fragment:
            raise BackendError("urls: give http(s)://HOST:PORT/v1, without user, query or fragment")
        path = parts.path.rstrip("/")
        if any(ord(letter) <= ord(" ") or ord(letter) > ord("~") for letter in host + path):
            raise BackendError("urls: an address holds characters that cannot be sent")
        root = path.removesuffix("/v1")
        return cls(host, port, parts.scheme == "https", root, path or "/v1")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.api}"
