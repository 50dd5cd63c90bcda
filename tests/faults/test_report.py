"""What is kept of the runs is summed up by kind of fault."""

from __future__ import annotations

from typing import Any

from tests.faults.report import summary


def outcome(scenario: str, *, api: float, caught_up: float, broken: list[str] | None = None) -> dict[str, Any]:
    return {
        "scenario": scenario,
        "recovery": {"api": api},
        "caught_up": caught_up,
        "verdict": {"broken": broken or []},
    }


def test_a_kind_of_fault_is_a_row_with_median_slowest_and_what_broke() -> None:
    lines = summary(
        [
            outcome("kill-redis", api=1.0, caught_up=2.0),
            outcome("kill-ai-core", api=3.0, caught_up=4.0, broken=["mail 3 was answered twice"]),
            outcome("kill-redis", api=8.0, caught_up=9.0),
            outcome("slow-telegram", api=0.5, caught_up=0.5),
        ]
    ).splitlines()
    assert lines[2:] == [
        "| kill | 3 |  | 3.0 / 8.0 |  | 4.0 / 9.0 | 1 |",
        "| slow | 1 |  | 0.5 / 0.5 |  | 0.5 / 0.5 | 0 |",
        "| all | 4 |  | 2.0 / 8.0 |  | 3.0 / 9.0 | 1 |",
    ]
