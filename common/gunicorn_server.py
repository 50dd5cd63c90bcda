"""gunicorn as our services run it: JSON errors for requests that it cannot read, and its own log in our lines.

gunicorn answers such requests before any application sees them, in HTML, and logs their first line, which may hold
what a person wrote.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import signal
from http import HTTPStatus
from typing import Any

from gunicorn import systemd, util
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from common.errors import ServiceError, error_body

logger = logging.getLogger(__name__)

_STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Worker(ThreadWorker):
    """A gthread worker whose own errors have the shape of all others."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - gunicorn's own
        """Answer a request that could not be read, or whose response broke before it began."""
        if isinstance(exc, errors.ParseException):
            status = _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
            logger.info("unreadable request", extra={"status": int(status), "reason": type(exc).__name__})
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            logger.error("request failed in the server", exc_info=exc)
        try:
            util.write_nonblock(client, error_bytes(status))
        except OSError:
            logger.debug("the client was gone before the error")


def error_bytes(status: HTTPStatus) -> bytes:
    """A whole HTTP/1.1 response with the error object for `status`."""
    body = json.dumps(error_body(ServiceError(status, status.name.lower(), f"{status.phrase}."))).encode()
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def leave_readiness_to_workers() -> None:
    """Keep gunicorn's master from saying READY=1 to systemd: it does so before any worker lives. A worker, which knows
    how it is, says it instead, so the unit needs NotifyAccess=all."""
    systemd.sd_notify = lambda *_, **__: None


def end_at_once_when_given_up() -> None:
    """In a worker: let SIGABRT, which systemd's watchdog and gunicorn's timeout send, end the process at once, with the
    place of every thread on stderr. gunicorn's own handler would wait for threads, and one of them hangs."""
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    faulthandler.enable()


class RootLogger(Logger):
    """Hands gunicorn's log to the root logger, which writes JSON lines; there is no access log."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn with its configuration."""
        for log in (self.error_log, self.access_log):
            log.handlers = []
            log.propagate = True
        self.error_log.setLevel(self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO))
        self.access_log.disabled = True
