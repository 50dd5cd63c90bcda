"""What grows is told from what goes up and down."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.soak.plot import draw
from tests.benchmarks.soak.samples import DATABASE, DESCRIPTORS, MEMORY, REDIS, Sample
from tests.benchmarks.soak.verdict import Verdict, judge

MINUTES, EVERY = 30, 10.0


def verdict(figure: str, value: Callable[[float], float], requests: int = 0) -> Verdict:
    """Of `value`, by minutes since the start."""
    taken: list[Sample] = [
        {"at": 1_000 + number * EVERY, figure: value(number * EVERY / 60)} for number in range(MINUTES * 6)
    ]
    (found,) = judge(taken, requests)
    return found


def test_noise_around_a_level_is_flat() -> None:
    chance = random.Random(3)
    assert verdict(f"ai core: {MEMORY}", lambda _: 600 + chance.uniform(-8, 8)).flat


def test_a_rise_that_ends_with_the_warm_up_is_flat() -> None:
    assert verdict(f"ai core: {MEMORY}", lambda minute: 400 + 30 * min(minute, 8)).flat


def test_a_few_peaks_are_flat() -> None:
    assert verdict(f"ai core: {MEMORY}", lambda minute: 900.0 if 20 <= minute < 21 else 600.0).flat


def test_a_leak_of_two_megabytes_a_minute_is_seen() -> None:
    found = verdict(f"ai core: {MEMORY}", lambda minute: 600 + 2 * minute)
    assert not found.flat
    assert found.an_hour == pytest.approx(120)
    assert found.growth == pytest.approx(40, rel=0.02)


def test_a_descriptor_every_two_minutes_is_seen() -> None:
    assert not verdict(f"mail poller: {DESCRIPTORS}", lambda minute: 20 + minute // 2).flat


def test_redis_may_hold_a_thousand_bytes_of_each_request() -> None:
    assert verdict(REDIS, lambda minute: 2 + 0.05 * minute, requests=2_000).flat
    assert not verdict(REDIS, lambda minute: 2 + 0.1 * minute, requests=2_000).flat
    assert not verdict(REDIS, lambda minute: 2 + 0.05 * minute, requests=500).flat


def test_a_database_may_grow_with_its_requests_and_not_without() -> None:
    def grows(minute: float) -> float:
        return 10 + 0.2 * minute

    assert verdict(f"mail: {DATABASE}", grows, requests=2_000).flat
    assert not verdict(f"mail: {DATABASE}", grows, requests=100).flat


def test_it_is_drawn(tmp_path: Path) -> None:
    names = ("a: memory (MB)", "a: descriptors", "a: threads", "a: database (MB)", "a: logs (MB)", REDIS)
    draw([{"at": float(at), **dict.fromkeys(names, 1.0)} for at in range(3)], tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
