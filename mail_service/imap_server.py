"""The IMAP server: sessions that are logged in, the folders that we use, and what its absence looks like."""

from __future__ import annotations

import imaplib
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imapclient import IMAPClient  # type: ignore[import-untyped]
from imapclient.exceptions import IMAPClientError, LoginError  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds for each answer of the server
PROCESSED, FAILED, JUNK = "Processed", "Failed", "Junk"
SENT_NAMES = ("Sent", "Sent Items", "Sent Messages", "Envoyés", "Messages envoyés", "Éléments envoyés")


class MailAway(Exception):
    """The server does not answer, or does not let us in."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ImapServer:
    """One account; TLS from the first byte where `implicit_tls`, else STARTTLS. Sessions are not for sharing between
    threads."""

    def __init__(
        self, host: str, port: int, *, implicit_tls: bool, username: str, password: str, ca_file: Path | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._implicit_tls = implicit_tls
        self._username = username
        self._password = password
        self._ca_file = ca_file

    @contextmanager
    def session(self) -> Iterator[IMAPClient]:
        """A session for the block. Raises MailAway, also for what goes wrong in the block."""
        client = self.connect()
        try:
            with translated():
                yield client
        finally:
            leave(client)

    def connect(self) -> IMAPClient:
        """A session that the caller ends with `leave`. Raises MailAway."""
        context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        implicit = self._implicit_tls
        with translated():
            client = IMAPClient(
                self._host, self._port, ssl=implicit, ssl_context=context if implicit else None, timeout=TIMEOUT
            )
            try:
                if not implicit:
                    client.starttls(context)
                client.login(self._username, self._password)
            except BaseException:
                leave(client)
                raise
        return client


@contextmanager
def translated() -> Iterator[None]:
    """Turn what imapclient, imaplib and the network raise into MailAway."""
    try:
        yield
    except LoginError as error:
        raise MailAway("login_refused") from error
    except (IMAPClientError, imaplib.IMAP4.error, OSError) as error:
        raise MailAway(type(error).__name__) from error


def leave(client: IMAPClient) -> None:
    """End a session, whatever state it is in."""
    with suppress(IMAPClientError, imaplib.IMAP4.error, OSError):
        client.logout()
        return
    with suppress(IMAPClientError, imaplib.IMAP4.error, OSError):
        client.shutdown()


def folder_name(client: IMAPClient, name: str) -> str:
    """The full name of our folder `name`: some servers keep all folders below INBOX (RFC 2342)."""
    personal = client.namespace().personal if client.has_capability("NAMESPACE") else None
    prefix = personal[0][0] if personal else ""
    return f"{prefix}{name}"


def ensure_folder(client: IMAPClient, name: str) -> str:
    """The full name of our folder `name`, made where it is missing."""
    full = folder_name(client, name)
    if not client.folder_exists(full):
        client.create_folder(full)
        client.subscribe_folder(full)
    return full


def sent_folder(client: IMAPClient) -> str | None:
    """The folder for sent mail: the one that the server marks (RFC 6154), else one of the usual names."""
    marked = client.find_special_folder(b"\\Sent")
    if marked:
        return str(marked)
    for name in SENT_NAMES:
        full = folder_name(client, name)
        if client.folder_exists(full):
            return full
    return None
