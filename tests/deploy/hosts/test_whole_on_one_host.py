"""Everything on one host. The bot moves there, so that this file comes last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.hosts.conftest import World
from tests.waiting import until

GUEST = "all-in-one"


@pytest.fixture(scope="module")
def one(world: World) -> Iterator[World]:
    """A host of its own for the whole system."""
    world.rig.start_fresh(GUEST)
    played = world.controller.play("one-host")
    assert played.succeeded, played.output[-6000:]
    yield world
    world.rig("down", GUEST)


def test_one_host_serves_all_three_names(one: World) -> None:
    for name in ("ai-core", "telegram", "mail"):
        assert one.session().get(f"https://{name}.one.test/health", timeout=20).json() == {"status": "ok"}


def test_its_bot_answers(one: World) -> None:
    person = 4713
    one.outside.telegram.say(person, "Quelle est la durée légale du travail ?")
    until(lambda: any("3121-27" in shown.text for shown in one.outside.telegram.messages(person)), seconds=120)


def test_a_second_play_changes_nothing_there(one: World) -> None:
    played = one.controller.play("one-host")
    assert played.succeeded, played.output[-4000:]
    assert set(played.changed.values()) == {0}, played.tasks_that_changed()


def test_its_doctor_finds_nothing(one: World) -> None:
    assert not one.doctor(GUEST)
