"""Processes killed at random, Redis restarted, the AI core away, Telegram in trouble: everybody gets exactly one answer
or one honest apology, and nothing that they wrote is in a log."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.log_watch import leaks
from tests.postgres import Postgres, programs
from tests.redis_versions import can_tell_ages, newer_ones, watched_commands
from tests.telegram_service.process import POISON
from tests.telegram_service.questions import Crowd
from tests.telegram_service.running import SECRET, Running
from tests.waiting import until

PEOPLE = 12


def test_processes_killed_and_everything_away_for_a_while(tmp_path: Path) -> None:
    chance = random.Random(7)
    with Running(tmp_path, workers=2, pause=0.03, LOG_LEVEL="DEBUG") as running:
        crowd = Crowd(running, PEOPLE)
        for turn in range(12):
            crowd.ask(3)
            running.kill(turn % 3)
            telegram = running.telegram
            if turn == 2:
                telegram.flood_next("sendMessage", 1, times=3)
            if turn == 4:
                telegram.fail_next("editMessageText", 500, times=3)
                telegram.fail_next("sendMessage", 502, times=2)
            if turn == 5:
                running.redis.kill()
                running.redis.start()
            if turn == 7:
                running.ai.go_away()
            if turn == 9:
                running.ai.come_back()
                telegram.drop_next("editMessageText", times=2)
            time.sleep(chance.uniform(0.2, 0.8))
        until(crowd.settled, seconds=120)
        told = crowd.told()
        assert told.each_once, told
        assert told.answered >= told.apologised
        assert crowd.in_order()
    logged = running.everything_logged()
    assert leaks(logged, [asked.text for asked in crowd.asked]) == []
    assert running.telegram.token not in logged
    assert SECRET not in logged


def test_one_poison_among_many(tmp_path: Path) -> None:
    with Running(tmp_path, workers=2) as running:
        crowd = Crowd(running, PEOPLE)
        with watched_commands(running.redis.url) as commands:
            crowd.ask(PEOPLE)
            running.telegram.say(7, POISON)
            running.telegram.say(7, "/help")
            crowd.ask(PEOPLE)
            until(crowd.settled, seconds=120)
        assert running.died == 4
        told = crowd.told()
        assert (told.answered, told.each_once, told.apologised) == (2 * PEOPLE, True, 0), told
        assert crowd.in_order()
        assert len(running.mailbox.dead_letters()) == 1
        poisoned = running.said_to(7)
        assert sum("incident technique" in text for text in poisoned) == 1, "whoever wrote it was told"
        assert len(poisoned) >= 2, "and their chat goes on"
        if can_tell_ages(running.redis.url):
            assert newer_ones(running.redis.url, commands) == []


def test_the_database_is_killed_and_comes_back(tmp_path: Path) -> None:
    if programs() is None:
        pytest.fail("PostgreSQL is not installed")
    postgres = Postgres()
    postgres.start()
    try:
        with Running(tmp_path, workers=1, pause=0.05, DATABASE_URL=postgres.url) as running:
            crowd = Crowd(running, PEOPLE)
            crowd.ask(PEOPLE)
            time.sleep(1.5)
            postgres.stop()
            crowd.ask(PEOPLE)
            time.sleep(1.5)
            assert running.get("/health/ready")[0] == 200, "updates are taken in all the same"
            postgres.start()
            until(crowd.settled, seconds=120)
            told = crowd.told()
            assert (told.answered, told.each_once) == (2 * PEOPLE, True), told
            assert crowd.in_order()
    finally:
        postgres.stop()
        postgres.remove()


def test_a_poller_is_killed_again_and_again(tmp_path: Path) -> None:
    with Running(tmp_path, workers=1, polls=True) as running:
        crowd = Crowd(running, PEOPLE)
        for _ in range(4):
            crowd.ask(3)
            time.sleep(1.0)
            running.kill(0)
        until(crowd.settled, seconds=120)
        told = crowd.told()
        assert (told.answered, told.each_once) == (4 * 3, True), told
        until(lambda: running.died == 4)  # the last one is started again when all are answered already
