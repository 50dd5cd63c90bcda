"""Certificates, as a client of this host meets them."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

from common.health import Check, Status

RENEWED_BEFORE = 30  # days that certbot keeps; less means that renewal fails
TOO_LATE = 7
TIMEOUT = 10.0  # seconds


def check_certificate(name: str, ca_file: Path | None, *, port: int = 443) -> Check:
    """The certificate that this host's own port shows for `name`: whether it is trusted, and for how long."""
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    try:
        with (
            socket.create_connection(("localhost", port), TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            shown = secure.getpeercert()
    except ssl.SSLCertVerificationError as error:
        return Check(Status.DOWN, f"Not trusted: {error.verify_message}.")
    except OSError as error:
        return Check(Status.DOWN, f"No TLS on port {port}: {error.strerror or type(error).__name__}.")
    assert shown is not None  # a verified peer has shown one
    days = int((ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()) // 86_400)
    if days >= RENEWED_BEFORE - 1:
        return Check(Status.OK, f"{days} days left.")
    status = Status.DEGRADED if days >= TOO_LATE else Status.DOWN
    return Check(status, f"{days} days left: look at `certbot renew --dry-run`.")
