"""The IMAP server: sessions that are logged in, the folders that we use, and what its absence looks like."""

from __future__ import annotations

import imaplib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from imapclient import IMAPClient  # type: ignore[import-untyped]
from imapclient.exceptions import IMAPClientError, LoginError  # type: ignore[import-untyped]

from mail_service.account import Account

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
    """One account. Sessions are not for sharing between threads."""

    def __init__(self, account: Account) -> None:
        self._account = account

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
        account, context = self._account, self._account.tls()
        with translated():
            client = IMAPClient(
                account.host,
                account.port,
                ssl=account.implicit_tls,
                ssl_context=context if account.implicit_tls else None,
                timeout=TIMEOUT,
            )
            try:
                if not account.implicit_tls:
                    client.starttls(context)
                client.login(account.username, account.password)
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
