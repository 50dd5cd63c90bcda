"""The child process that downloads: `python -m ai_core.catalog.downloads.child`.

Its job comes as one line of JSON on standard input, since arguments and environment are there for others to read; its
events go out as lines of JSON. It ends with its parent, and what it has fetched stays for the next one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ai_core.catalog.child_life import live_with_parent
from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.job import DownloadJob
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.downloads.transfer import Patience
from ai_core.catalog.memory import Load


def main() -> None:
    """Ends with status 0 whatever the outcome, of which the last event tells."""
    job = _job(json.loads(sys.stdin.buffer.readline()))
    live_with_parent(job.folder.path / "header.gguf")
    try:
        job.run(_tell)
    except DownloadError as error:
        _tell({"event": "failed", "code": error.code, "message": str(error)})
    except Exception as error:  # noqa: BLE001 - the parent must hear of it; its text may hold what the Hub sent
        _tell({"event": "failed", "code": "download_failed", "message": f"Unexpected: {error.__class__.__name__}."})


def _job(content: dict[str, Any]) -> DownloadJob:
    return DownloadJob(
        **content
        | {
            "request": DownloadRequest(**content["request"]),
            "models": Path(content["models"]),
            "load": Load(**content["load"]),
            "patience": Patience(**content["patience"]),
        }
    )


def _tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
