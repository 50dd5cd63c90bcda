"""Jobs: where they are, how they end, that they can be stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ai_core.catalog.errors import CatalogError
from ai_core.catalog.job import Job, JobStatus, Progress
from ai_core.catalog.new_file import new_file


def finished(job: Job) -> Job:
    job.start()
    assert job.wait(300)
    return job


def test_a_job_ends_with_its_result_at_a_hundred_percent(tmp_path: Path) -> None:
    seen: list[int] = []

    def work(progress: Progress) -> Path:
        for part in (progress.part(0, 50), progress.part(50, 100)):
            for percent in (0, 50, 100):
                part.set(percent)
                seen.append(job.percent)
        return tmp_path

    job = Job("work", work)
    assert job.status is JobStatus.WAITING
    finished(job)
    assert seen == [0, 25, 50, 50, 75, 99]  # 100 is for the end alone
    assert (job.status, job.percent, job.result, job.error) == (JobStatus.DONE, 100, tmp_path, None)


@pytest.mark.parametrize(
    ("error", "message"),
    [(CatalogError("x.gguf is empty"), "x.gguf is empty"), (ValueError("bug"), "ValueError: bug")],
)
def test_a_failure_is_one_line(error: Exception, message: str) -> None:
    def work(progress: Progress) -> Path:
        raise error

    job = finished(Job("work", work))
    assert (job.status, job.error) == (JobStatus.FAILED, message)


def test_a_cancelled_job_stops_at_its_next_report() -> None:
    reported = threading.Event()

    def work(progress: Progress) -> Path:
        while True:
            progress.set(1)
            reported.set()

    job = Job("work", work)
    job.start()
    assert reported.wait(60)
    job.cancel()
    assert job.wait(300)
    assert job.status is JobStatus.CANCELLED


def test_a_job_cancelled_before_its_start_does_nothing() -> None:
    def work(progress: Progress) -> Path:
        progress.set(1)
        raise AssertionError("it went on")

    job = Job("work", work)
    job.cancel()
    assert finished(job).status is JobStatus.CANCELLED


def test_a_child_that_fails_is_reported_with_its_last_line(tmp_path: Path) -> None:
    def work(progress: Progress) -> Path:
        with new_file(tmp_path / "out") as unfinished:
            progress.run_child("ai_core.no_such_module", [], print, lock=unfinished.lock)
        return tmp_path

    job = finished(Job("work", work))
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "No module named ai_core.no_such_module" in job.error
    assert list(tmp_path.iterdir()) == []
