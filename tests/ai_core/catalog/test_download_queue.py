"""The queue of downloads: equal requests share one, a kill loses nothing, a cancel leaves nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from ai_core.catalog.downloads import records
from ai_core.catalog.downloads.errors import TooManyDownloads
from ai_core.catalog.downloads.process import CHILD
from ai_core.catalog.downloads.queue import DownloadOptions, Downloads
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.downloads.run import Landed
from ai_core.catalog.memory import Load
from ai_core.storage import ModelDownload, open_storage
from tests.ai_core.catalog.downloading import QUICK, files_in, safetensors_repository
from tests.hub_server import HubServer
from tests.waiting import until

Found = TypeVar("Found")
WEIGHTS = "model.safetensors"
TINY = DownloadRequest("acme/tiny")


class Service:
    """The downloads of one service over `folder`, which may be stopped and made anew."""

    def __init__(self, folder: Path, hub: HubServer, **options: Any) -> None:
        self.models = folder / "models"
        self.declared: list[Landed] = []
        self.ended: list[str] = []
        database = open_storage(f"sqlite:///{folder / 'core.sqlite3'}")
        self.downloads = Downloads(
            database,
            DownloadOptions(hub.url, self.models, Load(slots=2), patience=QUICK, **options),
            self._declare,
            lambda row: self.ended.append(row.status),
        )

    def _declare(self, landed: Landed) -> str:
        self.declared.append(landed)
        return landed.folder.name

    def wait(self, download_id: str, *statuses: str) -> ModelDownload:
        return until(lambda: self._if_in(download_id, statuses))

    def _if_in(self, download_id: str, statuses: tuple[str, ...]) -> ModelDownload | None:
        row = self.downloads.find(download_id)
        return row if row is not None and row.status in statuses else None

    def finished(self, download_id: str) -> ModelDownload:
        return self.wait(download_id, records.DONE, records.FAILED, records.CANCELLED)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(safetensors_repository()) as server:
        yield server
        assert server.strange == []


@pytest.fixture
def service(tmp_path: Path, hub: HubServer) -> Iterator[Service]:
    made = Service(tmp_path, hub)
    made.downloads.start()
    yield made
    hub.faults.released.set()
    made.downloads.stop()


def test_a_model_comes_is_declared_and_told_of(service: Service) -> None:
    row = service.finished(service.downloads.begin(TINY).id)
    assert (row.status, row.error, row.model_id) == (records.DONE, None, "tiny")
    assert row.bytes_done == row.bytes_total
    [landed] = service.declared
    assert landed.path == landed.folder == service.models / "tiny"
    assert until(lambda: service.ended) == [records.DONE]
    counts, fetched = service.downloads.counts()
    assert counts["done"] == 1
    assert fetched == row.bytes_total


def test_a_second_request_joins_the_first(service: Service, hub: HubServer) -> None:
    hub.faults.hold_at = 150_000
    first = service.downloads.begin(TINY)
    assert hub.faults.held.wait(60)
    assert service.downloads.begin(DownloadRequest("acme/tiny", revision="main")).id == first.id
    hub.faults.released.set()
    assert service.finished(first.id).status == records.DONE
    assert hub.sent[WEIGHTS] == 300_000
    assert len(service.downloads.newest()) == 1


def test_many_requests_at_once_are_one(service: Service) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(service.downloads.begin(TINY).id)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.finished(found[0])
    assert len(service.declared) <= 2  # one more where the first was done before the last asked


def test_a_cancel_leaves_nothing_and_the_next_one_runs(service: Service, hub: HubServer) -> None:
    hub.faults.hold_at = 150_000
    running = service.downloads.begin(TINY)
    assert hub.faults.held.wait(60)
    waiting = service.downloads.begin(DownloadRequest("acme/tiny", "pytorch"))
    other = service.downloads.begin(DownloadRequest("acme/tiny", filename=WEIGHTS))
    for row in (waiting, running):
        cancelled = service.downloads.cancel(row.id)
        assert cancelled is not None
        assert cancelled.status == records.CANCELLED
        assert not (service.models / ".downloads" / row.request_key).exists()
    hub.faults.hold_at = None
    assert service.finished(other.id).status == records.DONE
    assert service.downloads.cancel(other.id).status == records.DONE  # type: ignore[union-attr]
    assert service.downloads.cancel("unknown") is None


def test_a_stopped_service_goes_on_at_its_next_start(tmp_path: Path, service: Service, hub: HubServer) -> None:
    hub.faults.hold_at = 150_000
    row = service.downloads.begin(TINY)
    assert hub.faults.held.wait(60)
    part = service.models / ".downloads" / row.request_key / "files" / f"{WEIGHTS}.part"
    until(lambda: part.is_file() and part.stat().st_size == hub.sent[WEIGHTS])
    service.downloads.stop()
    hub.faults.released.set()
    again = Service(tmp_path, hub)
    again.downloads.start()
    assert again.finished(row.id).status == records.DONE
    again.downloads.stop()
    assert hub.sent[WEIGHTS] == 300_000
    assert files_in(again.models / "tiny")[WEIGHTS] == hub.repositories["acme/tiny"].files[WEIGHTS]


def test_a_token_is_lost_with_the_process_and_asked_for_again(tmp_path: Path, hub: HubServer) -> None:
    hub.repositories["acme/tiny"] = safetensors_repository(access=frozenset({"hf_good"}))
    before = Service(tmp_path, hub)  # not started: killed before the download began
    row = before.downloads.begin(TINY, "hf_good")
    after = Service(tmp_path, hub)
    after.downloads.start()
    failed = after.finished(row.id)
    assert (failed.status, failed.error_code) == (records.FAILED, "token_needed")
    assert "auth_token" in (failed.error or "")
    assert after.downloads.begin(TINY, "hf_good").id == row.id
    until(lambda: after.declared)
    assert after.finished(row.id).status == records.DONE
    after.downloads.stop()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hf_good" not in path.read_bytes()


def test_a_failed_one_is_gone_on_with_by_the_same_request(service: Service, hub: HubServer) -> None:
    hub.faults.cut_at, hub.faults.cuts = 150_000, 99
    row = service.downloads.begin(TINY)
    failed = service.finished(row.id)
    assert (failed.error_code, failed.status) == ("incomplete_download", records.FAILED)
    hub.faults.cuts = 0
    assert service.downloads.begin(TINY).id == row.id
    until(lambda: service.declared)
    assert hub.sent[WEIGHTS] == 300_000


def test_a_process_that_is_killed_from_outside_is_a_failure(service: Service, hub: HubServer) -> None:
    hub.faults.hold_at = 150_000
    row = service.downloads.begin(TINY)
    assert hub.faults.held.wait(60)
    [child] = [process for process in psutil.Process().children() if CHILD in process.cmdline()]
    child.kill()
    failed = service.finished(row.id)
    assert (failed.status, failed.error_code) == (records.FAILED, "download_failed")


def test_what_failed_can_be_cleaned_away(service: Service, hub: HubServer) -> None:
    hub.faults.cut_at, hub.faults.cuts = 150_000, 99
    service.finished(service.downloads.begin(TINY).id)
    there = service.downloads.clean(dry_run=True)
    assert there > 100_000
    assert service.downloads.clean(dry_run=False) == there
    assert service.downloads.clean(dry_run=True) == 0


def test_the_queue_has_an_end(tmp_path: Path, hub: HubServer) -> None:
    service = Service(tmp_path, hub, most_waiting=2)
    for name in ("acme/a", "acme/b"):
        service.downloads.begin(DownloadRequest(name))
    with pytest.raises(TooManyDownloads):
        service.downloads.begin(DownloadRequest("acme/c"))
    assert service.downloads.begin(DownloadRequest("acme/a")).model_name == "acme/a"  # it waits already
