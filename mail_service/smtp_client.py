"""Hands a message to the submission server, and knows afterwards whether it was taken: yes, no, or perhaps."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

TIMEOUT = 20.0  # seconds for each step


class SendFailed(Exception):
    """The server did not take the message. `permanent`: it will not, however often it is asked. `taken_perhaps`: it had
    all of it when the connection was lost. `about_us`: it refused us (login, TLS, connection), not this message."""

    def __init__(
        self, reason: str, *, permanent: bool = False, taken_perhaps: bool = False, about_us: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.taken_perhaps = taken_perhaps
        self.about_us = about_us


class SmtpClient:
    """One submission server; TLS from the first byte where `implicit_tls`, else STARTTLS. A connection lives for one
    message."""

    def __init__(
        self, host: str, port: int, *, implicit_tls: bool, username: str, password: str, ca_file: Path | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._implicit_tls = implicit_tls
        self._username = username
        self._password = password
        self._ca_file = ca_file

    def send(self, sender: str, recipient: str, raw: bytes) -> None:
        """Return once the server has taken `raw`. Raises SendFailed."""
        with self._session() as session:
            _expect(session.mail(sender), 250)
            _expect(session.rcpt(recipient), 250, 251)
            try:
                code, _ = session.data(raw)
            except smtplib.SMTPDataError as error:  # it refused the command already
                raise _refusal(error.smtp_code) from error
            except (OSError, smtplib.SMTPException) as error:
                raise SendFailed(type(error).__name__, taken_perhaps=True) from error
            _expect((code, b""), 250)

    def check(self) -> None:
        """Log in and leave. Raises SendFailed."""
        with self._session():
            return

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        try:
            session = self._connected()
        except smtplib.SMTPResponseException as error:
            raise SendFailed(f"smtp_{error.smtp_code}", about_us=True) from error
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise SendFailed(type(error).__name__, about_us=True) from error
        try:
            yield session
        except (OSError, smtplib.SMTPException) as error:
            raise SendFailed(type(error).__name__, about_us=True) from error
        finally:
            # Whatever QUIT says, the message was taken or not before it.
            with suppress(OSError, smtplib.SMTPException):
                session.quit()
            session.close()

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        if self._implicit_tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT, context=context)
        else:
            session = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT)
        try:
            if not self._implicit_tls:
                session.starttls(context=context)
            session.ehlo_or_helo_if_needed()
            if session.has_extn("auth"):
                session.login(self._username, self._password)
        except BaseException:
            session.close()
            raise
        return session


def _expect(reply: tuple[int, bytes], *wanted: int) -> None:
    if reply[0] not in wanted:
        raise _refusal(reply[0])


def _refusal(code: int) -> SendFailed:
    if code in (421, 530):  # the service is closing, or wants another login
        return SendFailed(f"smtp_{code}", about_us=True)
    return SendFailed(f"smtp_{code}", permanent=500 <= code < 600)
