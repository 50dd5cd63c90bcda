"""GGUF files made smaller by llama.cpp in a child process, whole or not at all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ai_core.catalog import gguf_header
from ai_core.catalog.errors import CatalogError, NoSpace, TargetTaken
from ai_core.catalog.formats import Format
from ai_core.catalog.inspection import file_type
from ai_core.catalog.job import Job, JobStatus
from ai_core.catalog.quantisation import plan_quantisation, quantisation_job
from ai_core.catalog.quantised_size import QUANTISATIONS, named, quantised_bytes, weights_of
from ai_core.catalog.stored_weights import weights_bytes
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.engine import Engine
from tests.ai_core.catalog.gguf_files import write_f16_model
from tests.ai_core.engine.driving import request, run


def job_for(source: Path, to: str, target: Path) -> Job:
    return quantisation_job(plan_quantisation(source, named(to), target), threads=1)


def finished(job: Job) -> Job:
    job.start()
    assert job.wait(300)
    return job


@pytest.mark.parametrize("to", QUANTISATIONS)
def test_a_quantised_model_is_what_it_says_and_as_large_as_foretold(f16_gguf: Path, tmp_path: Path, to: str) -> None:
    target = tmp_path / "small.gguf"
    job = finished(job_for(f16_gguf, to, target))
    assert (job.status, job.result, job.percent, job.error) == (JobStatus.DONE, target, 100, None)
    assert file_type(target) == to
    written = weights_bytes(target, Format.GGUF)
    foretold = quantised_bytes(weights_of(f16_gguf, Format.GGUF), named(to))
    assert written <= foretold <= 1.15 * written
    assert list(tmp_path.iterdir()) == [target]


def test_narrow_tensors_get_another_type_and_are_foretold_too(tiny_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.gguf"
    plan = plan_quantisation(tiny_gguf, named("Q4_K_M"), target)
    finished(quantisation_job(plan, threads=1))
    assert target.stat().st_size <= plan.target_bytes <= 1.15 * target.stat().st_size


def test_a_quantised_model_answers(f16_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.gguf"
    finished(job_for(f16_gguf, "Q8_0", target))
    backend = LlamaCppBackend(target, slots=1, threads=1)
    [(_, answered)] = run(Engine(backend), request("Bonjour", max_tokens=8))
    backend.close()
    assert answered.completion_tokens == 8


def test_the_default_name_tells_the_quantisation(f16_gguf: Path) -> None:
    assert plan_quantisation(f16_gguf, named("Q6_K")).target == f16_gguf.with_name("small-Q6_K.gguf")


def test_progress_goes_up_to_the_end(f16_gguf: Path, tmp_path: Path) -> None:
    job = job_for(f16_gguf, "Q2_K", tmp_path / "small.gguf")
    job.start()
    seen = [0]
    while not job.wait(0.005):
        seen.append(job.percent)
    assert seen == sorted(seen)
    assert job.step == "quantising to Q2_K"
    assert job.percent == 100


@pytest.fixture(scope="module")
def large_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its quantisation to Q2_K takes seconds: long enough to be stopped in the middle."""
    return write_f16_model(tmp_path_factory.mktemp("gguf") / "large-f16.gguf", layers=10, width=512, inner=2048)


def stop_in_the_middle(job: Job, stop: Callable[[], None]) -> None:
    job.start()
    while job.percent == 0 and not job.wait(0.002):
        pass
    assert job.status is JobStatus.RUNNING
    stop()
    assert job.wait(300)


def test_a_cancelled_quantisation_leaves_nothing(large_gguf: Path, tmp_path: Path) -> None:
    job = job_for(large_gguf, "Q2_K", tmp_path / "small.gguf")
    stop_in_the_middle(job, job.cancel)
    assert (job.status, job.error) == (JobStatus.CANCELLED, None)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_child_leaves_nothing_and_is_reported(large_gguf: Path, tmp_path: Path) -> None:
    def kill_children() -> None:
        for child in psutil.Process().children(recursive=True):
            child.kill()

    job = job_for(large_gguf, "Q2_K", tmp_path / "small.gguf")
    stop_in_the_middle(job, kill_children)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "ended by signal 9" in job.error
    assert list(tmp_path.iterdir()) == []


def test_a_second_job_on_the_same_file_is_refused_and_the_first_goes_on(large_gguf: Path, tmp_path: Path) -> None:
    first, second = (job_for(large_gguf, "Q2_K", tmp_path / "small.gguf") for _ in range(2))
    first.start()
    while first.percent == 0:
        time.sleep(0.002)
    assert finished(second).status is JobStatus.FAILED
    assert second.error is not None
    assert "is being written already" in second.error
    assert first.wait(300)
    assert first.status is JobStatus.DONE
    with pytest.raises(TargetTaken, match="exists already"):
        job_for(large_gguf, "Q2_K", tmp_path / "small.gguf")


def test_a_disk_without_room_is_refused_before_the_start(
    f16_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(NoSpace, match="1 MiB free, .* are needed"):
        plan_quantisation(f16_gguf, named("Q8_0"), tmp_path / "small.gguf")


def test_a_quantised_file_is_not_quantised_again(f16_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.gguf"
    finished(job_for(f16_gguf, "Q8_0", target))
    with pytest.raises(CatalogError, match=r"quantised already \(Q8_0\)"):
        plan_quantisation(target, named("Q4_K_M"))


def test_what_is_not_gguf_is_sent_to_convert(hub_folder: Path) -> None:
    with pytest.raises(CatalogError, match="`models convert` makes one"):
        plan_quantisation(hub_folder, named("Q4_K_M"))


def test_a_model_that_llama_cpp_refuses_is_reported_in_its_words(tmp_path: Path, f16_gguf: Path) -> None:
    source = tmp_path / "strange-f16.gguf"
    content = f16_gguf.read_bytes()
    source.write_bytes(
        content.replace(
            b"general.architecture" + (8).to_bytes(4, "little"), b"general.architecturf" + (8).to_bytes(4, "little")
        )
    )
    with pytest.raises(CatalogError, match="strange-f16.gguf"):
        plan_quantisation(source, named("Q8_0"))
    source.write_bytes(content.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0llamo"))
    assert gguf_header.read_header(source).architecture == "llamo"
    job = finished(job_for(source, "Q8_0", tmp_path / "small.gguf"))
    assert job.error is not None
    assert "unknown model architecture: 'llamo'" in job.error
    assert not (tmp_path / "small.gguf").exists()
