"""What ansible/README.md tells an operator to do, done."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ai_core.settings import EMBEDDED_MODEL
from tests.deploy.hosts.conftest import THREE, World
from tests.deploy.rig import address
from tests.hub_server import HubServer, Repository
from tests.waiting import until

SEARCH = "https://ai-core.rig.test/api/v1/knowledge/search?q=préavis"


def test_a_second_worker_is_a_number(hosts: World) -> None:
    for workers, state in ((2, "active"), (1, "inactive")):
        played = hosts.controller.play("three-hosts", "--tags", "mail", "--limit", "mail", mail_service_workers=workers)
        assert played.succeeded, played.output[-4000:]
        assert hosts.rig.run("mail", "systemctl is-active mail-worker@2.service || true").strip() == state
    assert hosts.rig.run("mail", "systemctl is-active mail-worker@1.service").strip() == "active"


def test_updates_are_polled_where_telegram_cannot_reach_the_host(hosts: World) -> None:
    person = 4714
    played = hosts.controller.play("three-hosts", "--tags", "telegram", "--limit", "telegram", telegram_webhook=False)
    assert played.succeeded, played.output[-4000:]
    assert hosts.outside.telegram.updates.webhook["url"] == ""
    hosts.outside.telegram.say(person, "Quelle est la durée légale du travail ?")
    until(lambda: any("3121-27" in shown.text for shown in hosts.outside.telegram.messages(person)), seconds=120)
    played = hosts.controller.play("three-hosts", "--tags", "telegram", "--limit", "telegram")
    assert played.succeeded, played.output[-4000:]
    assert hosts.rig.run("telegram", "systemctl is-active telegram-poller.service || true").strip() == "inactive"
    assert hosts.outside.telegram.updates.webhook["url"] == "https://telegram.rig.test/webhook"


def test_the_bots_get_new_keys_and_the_old_ones_end(hosts: World) -> None:
    old = hosts.key("mail")
    played = hosts.controller.play("three-hosts", playbook="new_bot_keys.yml")
    assert played.succeeded, played.output[-4000:]
    new = hosts.key("mail")
    asked = {key: hosts.session().get(SEARCH, headers={"X-API-Key": key}, timeout=30).status_code for key in (old, new)}
    assert asked == {old: 401, new: 200}
    assert hosts.rig.run("mail", "cat /etc/code-du-travail/credentials/mail_service/AI_API_KEY").strip() == new
    assert all(not hosts.doctor(guest) for guest in THREE)


def test_a_model_of_the_hub_is_fetched_and_served(hosts: World) -> None:
    model = Repository("cabinet/droit-gguf", {"droit-Q8_0.gguf": EMBEDDED_MODEL.read_bytes()})
    with HubServer(model) as hub, _reachable(hosts, hub):
        played = hosts.controller.play(
            "three-hosts", "--tags", "ai_core", "--limit", "ai_core",
            ai_core_models=[{"name": "cabinet/droit-gguf", "filename": "droit-Q8_0.gguf"}],
            rig_hub=hub.url,
        )  # fmt: skip
    assert played.succeeded, played.output[-4000:]
    assert "The model droit-gguf answered" in played.output


@contextmanager
def _reachable(world: World, hub: HubServer) -> Iterator[None]:
    """The Hub and its storage on the same ports of the AI core's own loopback."""
    state = world.rig.state
    ports = [urlsplit(url).port for url in (hub.url, hub.storage_url)]
    tunnels = [option for port in ports for option in ("-R", f"{port}:127.0.0.1:{port}")]
    known = f"UserKnownHostsFile={state}/known_hosts"
    tunnel = subprocess.Popen(
        ["ssh", "-N", "-i", Path(state) / "id_ed25519", "-o", known, "-o", "StrictHostKeyChecking=yes",
         "-o", "ExitOnForwardFailure=yes", *tunnels, f"deploy@{address('ai-core')}"]
    )  # fmt: skip
    try:
        listening = f"ss -Hltn 'sport = :{ports[1]}'"
        until(lambda: world.rig.run("ai-core", listening), seconds=30)
        yield
    finally:
        tunnel.terminate()
        tunnel.wait(10)
