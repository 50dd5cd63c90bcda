"""The Hugging Face Hub, through huggingface_hub: what a repository holds, and the bytes of its files.

hf_hub_download itself cannot go on where a killed process stopped (since 1.5 each process writes a file of its own),
and checks sizes, not hashes: https://github.com/huggingface/huggingface_hub/pull/4228. So bytes are asked for here,
with Range. Xet storage is not used for the same reason; the Hub serves its files by HTTP too, up to 50 GB each.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.files import HubFile
from ai_core.catalog.downloads.reach import bounded
from ai_core.catalog.downloads.request import DownloadRequest

SERVER_ERRORS = 500


class Hub:
    """One repository on the Hub at `endpoint`. `timeout` (seconds) bounds each wait for bytes. All methods raise
    DownloadError."""

    def __init__(self, endpoint: str, request: DownloadRequest, token: str | None, *, timeout: float) -> None:
        self._endpoint = endpoint
        self._request = request
        self._token: str | bool = token or False  # False: not one that lies about on this machine
        self._timeout = timeout

    def look(self) -> tuple[str, list[HubFile]]:
        """The commit that the wanted revision is at now, and its files."""
        with self._translated():
            self._session()
            info = HfApi(endpoint=self._endpoint, token=self._token).model_info(
                self._request.model_name,
                revision=self._request.revision,
                files_metadata=True,
                timeout=self._timeout,
            )
        if not info.sha:
            raise DownloadError("hub_error", "The Hub did not say which commit the revision is.")
        return info.sha, [
            HubFile(
                file.rfilename,
                file.lfs.size if file.lfs else file.size or 0,
                file.lfs.sha256 if file.lfs else None,
                file.blob_id,
            )
            for file in info.siblings or ()
        ]

    @contextmanager
    def bytes_from(
        self, commit: str, path: str, start: int, end: int | None = None
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The bytes of a file from `start` (to before `end`): where they really begin, and the chunks. A server that
        knows no ranges begins at 0."""
        url = hf_hub_url(self._request.model_name, path, revision=commit, endpoint=self._endpoint)
        headers = build_hf_headers(token=self._token) | {"Accept-Encoding": "identity"}
        if start or end:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        # Redirects lead to storage on another host; httpx2 leaves the token behind there.
        get = self._session().stream("GET", url, headers=headers, timeout=self._timeout)
        with self._translated(), get as response:
            hf_raise_for_status(response)
            yield _start(response), response.iter_bytes()

    def _session(self) -> httpx2.Client:
        """The client that huggingface_hub uses too. Each time, since it makes a new one after some errors."""
        return bounded(get_session(), self._endpoint)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as error:
            raise self._refusal(error) from error
        except OfflineModeIsEnabled as error:
            raise DownloadError("hub_unreachable", "HF_HUB_OFFLINE is set: nothing can be fetched.") from error
        except httpx2.TimeoutException as error:
            raise DownloadError("hub_timeout", "The Hub did not answer in time.", retry=True) from error
        except httpx2.RemoteProtocolError as error:
            raise DownloadError("incomplete_download", "The Hub ended its answer too early.", retry=True) from error
        except httpx2.TransportError as error:
            raise DownloadError(
                "hub_unreachable", f"The Hub cannot be reached: {error.__class__.__name__}.", retry=True
            ) from error
        except OSError as error:
            raise no_space_or(error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise DownloadError("hub_error", "The Hub's answer cannot be read.", retry=True) from error

    def _refusal(self, error: HfHubHTTPError) -> DownloadError:
        name, status = self._request.model_name, error.response.status_code
        if isinstance(error, GatedRepoError):
            return DownloadError(
                "gated_model",
                f"{name} is gated: accept its conditions on its page on the Hub, then give auth_token."
                if not self._token
                else f"{name} is gated, and this token's owner has not been granted access to it.",
            )
        if isinstance(error, RevisionNotFoundError):
            return DownloadError("revision_not_found", f"{name} has no revision {self._request.revision}.")
        if isinstance(error, RemoteEntryNotFoundError):
            return DownloadError("file_not_found", f"A file of {name} is not there any more.")
        if isinstance(error, DisabledRepoError):
            return DownloadError("model_disabled", f"{name} has been disabled on the Hub.")
        if status == httpx2.codes.UNAUTHORIZED and self._token and not isinstance(error, RepositoryNotFoundError):
            return DownloadError("token_refused", "The Hub refuses this token.")
        if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
            hint = "or this token may not see it" if self._token else "or is private: then give auth_token"
            return DownloadError("model_not_found", f"{name} does not exist on the Hub, {hint}.")
        if status == httpx2.codes.FORBIDDEN:
            return DownloadError("access_denied", f"The Hub does not let this token fetch {name}.")
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            return DownloadError(
                "rate_limited", "The Hub limits the requests.", retry=True, retry_after=_retry_after(error.response)
            )
        if status >= SERVER_ERRORS:
            return DownloadError("hub_error", f"The Hub fails with status {status}.", retry=True)
        return DownloadError("hub_error", f"The Hub answered with status {status}.")


def no_space_or(error: OSError) -> DownloadError:
    """What a failed write means."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError("disk_full", "The disk is full.")
    return DownloadError("write_failed", f"A file could not be written: {error.strerror or error.__class__.__name__}.")


def _start(response: httpx2.Response) -> int:
    """Where the body begins in the file."""
    if response.status_code != httpx2.codes.PARTIAL_CONTENT:
        return 0
    return int(response.headers["Content-Range"].removeprefix("bytes ").split("-")[0])


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    return float(value) if value.isdigit() else None
