from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_core.engine.backends.llama_cpp.threads import SMALL_MODEL_BYTES, default_threads, physical_cores


def write_cpu(root: Path, number: int, package: int, core: int) -> None:
    folder = root / f"cpu{number}" / "topology"
    folder.mkdir(parents=True)
    (folder / "physical_package_id").write_text(f"{package}\n")
    (folder / "core_id").write_text(f"{core}\n")


def test_hyper_threads_of_one_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3, 4})
    for number, (package, core) in enumerate([(0, 0), (0, 0), (0, 1), (1, 0), (1, 0)]):
        write_cpu(tmp_path, number, package, core)
    assert physical_cores(tmp_path) == 3


def test_only_allowed_cpus_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1})
    for number in range(4):
        write_cpu(tmp_path, number, 0, number)
    assert physical_cores(tmp_path) == 1


def test_without_topology_every_allowed_cpu_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    assert physical_cores(tmp_path) == 3


def test_a_small_model_gets_one_thread_and_a_larger_one_the_cores() -> None:
    assert default_threads(SMALL_MODEL_BYTES - 1) == 1
    assert default_threads(SMALL_MODEL_BYTES) == physical_cores()
