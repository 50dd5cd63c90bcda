"""The table at the end says what was measured, and of what was not that it was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import plots, report
from tests.benchmarks.targets import TARGETS, judge

ABOUT = {"measured_at": "2026-03-01T10:00:00", "mode": "short", "cpu": "Some CPU", "cores": 2, "memory_bytes": 2**34,
         "load_before": 0.1, "model": "demo.gguf", "model_bytes": 9_700_000}  # fmt: skip
ROUND = {"output_tokens_per_s": 50.0}
ENGINE = {
    "shared_prefix": {"ours": {"cold": ROUND, "warm": ROUND}, "locked_llama": {"cold": ROUND, "warm": ROUND}},
    "about": {"model": "0.4b.gguf", "ratios": {"shared_prefix": {"locked_llama": {"cold": 3.5, "warm": 0.9}}}},
}
API = {"cached": {"cached answer, p95 (ms)": 12.0}, "switch": {"slowest switch with its first answer (s)": 31.0}}


def held(text: str) -> bool | None:
    (verdict,) = (row for row in judge({"engine": ENGINE, "api": API}, {}) if text in row.target)
    return verdict.held


def test_a_target_is_held_missed_or_not_measured() -> None:
    assert held("from the cache") is True
    assert held("switch of the model") is False
    assert held("a locked Llama") is False, "the slower round counts"
    assert held("llama-server") is None


def test_a_figure_beside_a_target_is_neither_held_nor_missed() -> None:
    (row,) = (row for row in judge({"telegram": {"crowd": {"first reply, 99 % (s)": 9.5}}}, {}) if row.measured)
    assert (row.wanted, row.measured, row.held) == ("", 9.5, None)


def test_the_markdown_names_machine_date_command_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = [
        {"target": row.target, "wanted": row.wanted, "measured": row.measured, "unit": row.unit, "held": row.held,
         "command": row.command}
        for row in judge({"engine": ENGINE, "api": API}, {"api": "python -m tests.benchmarks.api"})
    ]  # fmt: skip
    parts = {"engine": {"figures": ENGINE, "left_out": ""}, "search": {"figures": {}, "left_out": "no questions"}}
    file = tmp_path / "bench.json"
    file.write_text(json.dumps({"about": ABOUT, "targets": targets, "parts": parts}))
    assert report.main([str(file)]) == 0
    printed = capsys.readouterr().out
    assert "2026-03-01T10:00:00, short mode, Some CPU, 2 cores, 16 GiB" in printed
    row = "| answer from the cache, p95 | < 2 s | 0.012 s | yes | `python -m tests.benchmarks.api` |"
    assert row in printed
    assert "| < 30 s | 31 s | **no** |" in printed
    assert printed.count("not measured") == len([target for target in targets if target["measured"] is None])
    assert "| shared_prefix | 50 / 50 | 50 / 50 |" in printed
    assert "Not measured: search: no questions." in printed


def test_every_part_has_a_target_that_it_is_measured_for() -> None:
    assert {target.part for target in TARGETS} == {"engine", "api", "telegram", "mail"}


def test_there_is_a_picture_of_what_was_measured(tmp_path: Path) -> None:
    steady = {"requests a minute": 150, "search, p50 (ms)": 5, "search, p95 (ms)": 9, "search, p99 (ms)": 10}
    plots.draw({"engine": ENGINE, "api": {"steady": steady}, "mail": {}}, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    plots.draw({}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
