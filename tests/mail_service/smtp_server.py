"""A submission server that refuses on command: what Postfix says only when its disk is full or its peers are unkind."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.end_to_end.server import free_port


class Handler:
    """Says each of `replies` once to what it is given, and from then on that it was taken."""

    def __init__(self, replies: list[str], at: str) -> None:
        self.replies = replies
        self.at = at
        self.taken: list[bytes] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.at == "RCPT" and self.replies:
            return self.replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.at == "DATA" and self.replies:
            return self.replies.pop(0)
        self.taken.append(envelope.original_content)
        return "250 OK"


@contextmanager
def refusing_server(home: Path, *replies: str, at: str = "DATA") -> Iterator[tuple[int, Handler]]:
    """Its port, and what it was given. `home` holds the certificate of the mail system."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(home / "cert.pem", home / "key.pem")
    handler = Handler(list(replies), at)
    port = free_port()
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=lambda *_: AuthResult(success=True),
    )
    controller.start()
    try:
        yield port, handler
    finally:
        controller.stop()
