"""A second AI core behind the first one's name, by a line in the inventory."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.deploy.hosts.conftest import World
from tests.deploy.rig import address
from tests.waiting import until

CHAT = "https://ai-core.two.test/api/v1/chat"
STATE = "systemctl is-active ai-core.service || true"


@pytest.fixture(scope="module")
def pair(world: World) -> Iterator[World]:
    """Two hosts of their own."""
    world.rig.start_fresh("front", "further")
    played = world.controller.play("two-ai-cores")
    assert played.succeeded, played.output[-6000:]
    yield world
    world.rig("down", "front", "further")


def test_one_answers_when_the_other_is_away(pair: World) -> None:
    key = pair.key("smoke-test", "front")
    for away in ("front", "further"):
        pair.rig.run(away, "systemctl stop ai-core.service ai-core.socket")
        question = {"message": f"Qu'est-ce qu'un CDD ? ({away})", "channel": "webapp", "user_id": "rig"}
        answer = pair.session().post(CHAT, json=question, headers={"X-API-Key": key}, timeout=70)
        assert answer.status_code == 200, answer.text
        assert answer.json()["sources"]
        pair.rig.run(away, "systemctl start ai-core.socket ai-core.service")
        until(lambda: pair.rig.run(away, STATE).strip() == "active")  # noqa: B023 - asked at once


def test_only_the_front_end_reaches_the_further_one(pair: World) -> None:
    probe = (
        "python3 -c \"import socket; socket.create_connection(('{}', {}), 2)\" 2>/dev/null && echo open || echo closed"
    )
    assert pair.rig.run("front", probe.format(address("further"), 8000)).strip() == "open"
    assert pair.rig.run("further", probe.format(address("front"), 5432)).strip() == "open"
    for guest, port in (("further", 8000), ("front", 5432)):
        with pytest.raises(TimeoutError):
            socket.create_connection((address(guest), port), 2)  # this machine is no front end


def test_a_second_play_changes_nothing_on_either(pair: World) -> None:
    played = pair.controller.play("two-ai-cores")
    assert played.succeeded, played.output[-4000:]
    assert set(played.changed.values()) == {0}, played.tasks_that_changed()
