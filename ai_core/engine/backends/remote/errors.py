"""What can go wrong between us and a server. Messages name the server and never hold the key or a person's text."""

from __future__ import annotations


class RemoteError(Exception):
    """Any of the following."""


class ServerFailed(RemoteError):
    """The server cannot be reached, does not speak the API, or broke off. `at_once`: there is no point in trying this
    server again before a health check has passed."""

    def __init__(self, message: str, *, at_once: bool = True) -> None:
        super().__init__(message)
        self.at_once = at_once


class NotThere(ServerFailed):
    """The server has no such route."""


class KeyRefused(ServerFailed):
    """The server wants another API key."""


class ServerBusy(RemoteError):
    """The server works but takes no more requests for `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RequestRefused(RemoteError):
    """The server works and will never take this request."""


class RefusedAsTooLong(RequestRefused):
    """Prompt and answer do not fit the server's context."""
