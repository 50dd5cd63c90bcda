"""A login on a mail server, and the TLS that it goes over."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """TLS from the first byte where `implicit_tls`, else STARTTLS: nothing goes in clear. `ca_file` holds the
    certificates to trust instead of the system's."""

    host: str
    port: int
    implicit_tls: bool
    username: str
    password: str = field(repr=False)
    ca_file: Path | None = None

    def tls(self) -> ssl.SSLContext:
        """What checks the server's certificate and name."""
        return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
