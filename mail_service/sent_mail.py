"""The server's Sent folder: the proof that a reply was taken, when the worker that sent it cannot tell any more."""

from __future__ import annotations

from imapclient import IMAPClient  # type: ignore[import-untyped]

from mail_service.imap_server import ImapServer, ensure_folder, sent_folder

SEEN = b"\\Seen"


class SentMail:
    """Looks into the Sent folder, with a session of its own each time: it is rarely asked."""

    def __init__(self, server: ImapServer) -> None:
        self._server = server

    def holds(self, message_id: str) -> bool:
        """Whether a message with our id `message_id` was filed there. Raises MailAway."""
        with self._server.session() as client:
            return _holds(client, message_id)

    def file_copy(self, message_id: str, raw: bytes) -> None:
        """File a copy, unless there is one. Raises MailAway."""
        with self._server.session() as client:
            if not _holds(client, message_id):
                client.append(sent_folder(client) or ensure_folder(client, "Sent"), raw, [SEEN])


def _holds(client: IMAPClient, message_id: str) -> bool:
    folder = sent_folder(client)
    if folder is None:
        return False
    client.select_folder(folder, readonly=True)
    return bool(client.search(["HEADER", "Message-ID", f"<{message_id}>"]))
