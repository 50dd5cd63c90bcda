"""Where a download keeps what it has fetched, and how the whole lands among the models."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.plan import Plan
from ai_core.leftovers import is_being_written

UNFINISHED = ".downloads"
ORIGIN_FILE = ".origin.json"
LOCK_WITHIN = 5.0  # seconds; a child whose parent was killed ends sooner


@dataclass(frozen=True, slots=True)
class DownloadFolder:
    """The unfinished download of a request's `key`, below `models` (DATA_DIR/models)."""

    models: Path
    key: str

    @property
    def path(self) -> Path:
        return self.models / UNFINISHED / self.key

    @property
    def files(self) -> Path:
        """Becomes the model's folder."""
        return self.path / "files"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out for the block. Raises DownloadError when one is at it."""
        self.files.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("ab") as file:
            _lock(file.fileno())
            yield

    def remove(self) -> None:
        """Forget what was fetched."""
        shutil.rmtree(self.path, ignore_errors=True)

    def landed(self, plan: Plan) -> Path | None:
        """The model's folder, where these very files are there already."""
        return next((place for place in self._places(plan) if _origin_of(place) == _origin(plan)), None)

    def land(self, plan: Plan) -> Path:
        """Move the whole model to its place at once; returns it. Raises DownloadError when the names are taken."""
        (self.files / ORIGIN_FILE).write_text(json.dumps(_origin(plan), indent=1), encoding="utf-8")
        for place in self._places(plan):
            if not place.exists():
                os.rename(self.files, place)
                _sync(place)
                _sync(self.models)
                self.remove()
                return place
        raise DownloadError(
            "name_taken", f"There are other models in {self.models} by all names for {plan.model_name}."
        )

    def _places(self, plan: Plan) -> list[Path]:
        return [self.models / name for name in plan.names]


def remove_abandoned(models: Path, keep: Collection[str], *, dry_run: bool) -> int:
    """Remove what was fetched for requests that nobody pursues, those of the keys in `keep` excepted; returns
    its bytes. With `dry_run` only says how many."""
    freed = 0
    for folder in (models / UNFINISHED).glob("*"):
        if folder.name not in keep and not is_being_written(folder / "lock"):
            freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
    return freed


def _origin(plan: Plan) -> dict[str, object]:
    files = sorted([file.path, file.size, file.sha256 or file.blob_id] for file in plan.files)
    return {"model_name": plan.model_name, "commit": plan.commit, "format": plan.format, "files": files}


def _origin_of(place: Path) -> object:
    try:
        return json.loads((place / ORIGIN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not a model that we fetched


def _lock(descriptor: int) -> None:
    end = time.monotonic() + LOCK_WITHIN
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise DownloadError("already_running", "Another process is fetching this model.") from None
            time.sleep(0.05)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
