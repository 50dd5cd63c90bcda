"""A worker dies at each point where it hurts: everybody gets one answer all the same."""

from __future__ import annotations

from pathlib import Path

from tests.telegram_service.process import FIRST_VICTIM, POINTS
from tests.telegram_service.questions import Asked, Crowd
from tests.telegram_service.running import Running
from tests.waiting import until


def test_a_worker_may_die_anywhere(tmp_path: Path) -> None:
    marks = tmp_path / "points"
    marks.mkdir()
    with Running(tmp_path / "data", workers=2, POINTS_DIR=str(marks), LEASE_SECONDS="1") as running:
        crowd = Crowd(running, len(POINTS))
        for number in range(len(POINTS)):
            crowd.ask_as(Asked(FIRST_VICTIM + number, f"Question de la personne {number} sur la démission"))
        until(crowd.settled, seconds=120)
        assert {mark.name for mark in marks.iterdir()} == set(POINTS), "each point was come to"
        assert running.died >= len(POINTS) / 2, "and killed its process, some of them two at once"
        told = crowd.told()
        assert (told.answered, told.apologised, told.lost, told.doubled) == (len(POINTS), 0, 0, 0), told
        assert told.strays <= 2, "a message whose id was not noted yet stays behind"
        for asked in crowd.asked:
            said = running.said_to(asked.user)
            assert sum("Je suis une intelligence artificielle" in text for text in said) <= 2, "the notice may repeat"
