"""How a download can fail: a code for programs, a sentence for the operator."""

from __future__ import annotations

from ai_core.catalog.errors import CatalogError


class DownloadError(CatalogError):
    """`retry` says that the same request may succeed in a moment, `retry_after` (seconds) when the Hub said so."""

    def __init__(self, code: str, message: str, *, retry: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry
        self.retry_after = retry_after


class TooManyDownloads(CatalogError):
    """As many downloads are waiting as may wait."""
