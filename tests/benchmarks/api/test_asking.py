"""A request counts as answered only when its answer came whole."""

from __future__ import annotations

import threading

import pytest

from tests.benchmarks.api.asking import BROKEN, Client, Outcome, summary
from tests.telegram_service.scripted_ai import ScriptedAi


def test_a_whole_stream_has_first_words_before_its_end() -> None:
    with ScriptedAi(pause=0.02) as ai:
        outcome = Client(int(ai.url.rpartition(":")[2]), "key").stream("Bonjour", "jd")
    assert outcome.good
    assert outcome.first is not None
    assert 0 < outcome.first < outcome.seconds


def test_a_stream_that_breaks_off_is_no_answer() -> None:
    with ScriptedAi(pause=0.2) as ai:
        threading.Timer(0.6, ai.go_away).start()
        outcome = Client(int(ai.url.rpartition(":")[2]), "key").stream("Bonjour", "jd")
    assert outcome.status == BROKEN
    assert outcome.first is not None


def test_nobody_there_is_no_answer() -> None:
    with ScriptedAi() as ai:
        port = int(ai.url.rpartition(":")[2])
    assert Client(port, "key").chat("Bonjour", "jd").status == BROKEN


def test_a_refusal_keeps_its_status() -> None:
    with ScriptedAi() as ai:
        ai.refusals.append((503, "engine_busy"))
        assert Client(int(ai.url.rpartition(":")[2]), "key").stream("Bonjour", "jd").status == 503


def test_the_summary_counts_errors_and_times_what_was_answered() -> None:
    good = [Outcome("search", 200, 0.010 * number) for number in range(1, 100)]
    figures = summary([*good, Outcome("search", 503, 9.0)], wall=60.0)
    assert (figures["requests"], figures["errors"], figures["error rate (%)"]) == (100, 1, 1.0)
    assert figures["requests a minute"] == 99.0
    assert figures["search, p50 (ms)"] == pytest.approx(500)
    assert "first words, p50 (ms)" not in figures
