"""New releases while clients ask: none of them notices, and a bad one does not stay."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.deploy.hosts.conftest import THREE, World
from tests.deploy.load import Load

QUESTIONS = ("Quel est le préavis en cas de démission ?", "Combien de jours de congés payés ?", "Qu'est-ce qu'un CDD ?")
BROKEN = """

@application.before_request
def _broken() -> object:
    from flask import request

    return ({"code": "broken_on_purpose"}, 500) if request.path.endswith("/chat") else None
"""


def test_a_second_play_changes_nothing(hosts: World) -> None:
    played = hosts.controller.play("three-hosts")
    assert played.succeeded, played.output[-4000:]
    assert set(played.changed.values()) == {0}, played.tasks_that_changed()


def test_a_restart_under_load_fails_no_request(hosts: World) -> None:
    with Load(_asks(hosts), per_second=20) as load:
        time.sleep(3)
        hosts.rig.run("ai-core", "systemctl restart ai-core.service")
        time.sleep(3)
    assert not load.failed
    assert load.outcomes["200"] > 100


def test_an_upgrade_under_load_fails_no_request(hosts: World) -> None:
    before = _current(hosts, "ai-core", "ai_core")
    release = hosts.repository.release("ai_core/__init__.py", '"""A newer release."""\n')
    with Load(_asks(hosts), per_second=20) as load:
        played = hosts.controller.play("three-hosts", "--tags", "ai_core", "--limit", "ai_core")
    assert played.succeeded, played.output[-4000:]
    assert not load.failed
    assert _current(hosts, "ai-core", "ai_core") == release != before


def test_a_release_that_fails_its_smoke_test_is_taken_back(hosts: World) -> None:
    before = _current(hosts, "ai-core", "ai_core")
    release = hosts.repository.release("ai_core/wsgi.py", BROKEN)
    played = hosts.controller.play("three-hosts", "--tags", "ai_core", "--limit", "ai_core")
    assert not played.succeeded
    assert f"ai-core {release} did not pass" in played.output
    assert "broken_on_purpose" in played.output
    assert f"Rolled back: {before} serves again" in played.output
    assert _current(hosts, "ai-core", "ai_core") == before
    assert _asks(hosts)(0) == 200


def test_an_older_release_is_installed_again_by_its_name(hosts: World) -> None:
    first = hosts.repository.first
    played = hosts.controller.play("three-hosts", "--tags", "ai_core", "--limit", "ai_core", ai_core_release=first)
    assert played.succeeded, played.output[-4000:]
    assert _current(hosts, "ai-core", "ai_core") == first
    hosts.repository.back()
    assert all(not hosts.doctor(guest) for guest in THREE)


def _asks(world: World) -> Callable[[int], int]:
    key, session = world.key("telegram"), world.session()

    def ask(number: int) -> int:
        question = {"message": QUESTIONS[number % 3], "channel": "webapp", "user_id": f"rig-{number % 200}"}
        url, headers = "https://ai-core.rig.test/api/v1/chat", {"X-API-Key": key}
        return session.post(url, json=question, headers=headers, timeout=70).status_code

    return ask


def _current(world: World, guest: str, service: str) -> str:
    return world.rig.run(guest, f"basename $(readlink /opt/code-du-travail/{service}/current)").strip()
