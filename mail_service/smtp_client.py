"""Hands a message to the submission server, and knows afterwards whether it was taken: yes, no, or perhaps."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mail_service.account import Account

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
    """One submission server. A connection lives for one message."""

    def __init__(self, account: Account) -> None:
        self._account = account

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
        account, context = self._account, self._account.tls()
        if account.implicit_tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(account.host, account.port, timeout=TIMEOUT, context=context)
        else:
            session = smtplib.SMTP(account.host, account.port, timeout=TIMEOUT)
        try:
            if not account.implicit_tls:
                session.starttls(context=context)
            session.ehlo_or_helo_if_needed()
            if session.has_extn("auth"):
                session.login(account.username, account.password)
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
