"""What is killed comes back, and what was acknowledged is still there."""

from __future__ import annotations

from email.utils import make_msgid

import pytest

from tests.deploy.hosts.conftest import BACK_WITHIN, THREE, World
from tests.mail_system import ALICE, ASSISTANT
from tests.waiting import until

SERVICES = {
    "ai-core": ("ai-core.service",),
    "telegram": ("telegram-web.service", "telegram-worker@1.service"),
    "mail": ("mail-web.service", "mail-poller.service", "mail-worker@1.service"),
}


@pytest.mark.parametrize(("guest", "service"), [(guest, service) for guest in THREE for service in SERVICES[guest]])
def test_a_killed_process_is_started_again(hosts: World, guest: str, service: str) -> None:
    show = f"systemctl show --value --property=MainPID {service}"
    before = hosts.rig.run(guest, show).strip()
    hosts.rig.run(guest, f"kill -9 {before}")
    is_new = f"systemctl -q is-active {service} && [ $({show}) != {before} ] && echo yes || true"
    until(lambda: hosts.rig.run(guest, is_new).strip(), BACK_WITHIN)
    hosts.await_health(guest)


@pytest.mark.parametrize(
    ("guest", "server"), [*((guest, "nginx.service") for guest in THREE), ("telegram", "redis-server.service")]
)
def test_a_killed_server_of_debians_is_started_again(hosts: World, guest: str, server: str) -> None:
    run = f"systemctl show --value --property=InvocationID {server}"  # another one with each start
    before = hosts.rig.run(guest, run).strip()
    hosts.rig.run(guest, f"systemctl kill --signal=KILL {server}")
    is_new = f"systemctl -q is-active {server} && [ $({run}) != {before} ] && echo yes || true"
    until(lambda: hosts.rig.run(guest, is_new).strip(), BACK_WITHIN)
    hosts.await_health(guest)


@pytest.mark.parametrize("guest", THREE)
def test_a_host_that_restarts_serves_again(hosts: World, guest: str) -> None:
    since = "systemctl show --value --property=UserspaceTimestamp"
    before = hosts.rig.run(guest, since)
    hosts.rig.restart(guest, BACK_WITHIN)
    assert hosts.rig.run(guest, since) != before
    hosts.await_health(guest)


def test_an_acknowledged_update_survives_a_power_cut(hosts: World) -> None:
    person, telegram = 4712, hosts.outside.telegram
    hosts.rig.run("telegram", "systemctl stop telegram-worker@1.service")
    telegram.say(person, "Quelle est la durée légale du travail ?")
    until(lambda: telegram.updates.waiting() == 0)  # the webhook said 200
    _cut("telegram", hosts)
    until(lambda: any("3121-27" in shown.text for shown in telegram.messages(person)), BACK_WITHIN)


def test_a_mail_survives_a_power_cut(hosts: World) -> None:
    mail = hosts.outside.mail
    hosts.rig.run("mail", "systemctl stop mail-worker@1.service")
    before = len(mail.mails(ALICE))
    mail.deliver(
        f"From: {ALICE}\r\nTo: {ASSISTANT}\r\nSubject: Coupure\r\nMessage-ID: {make_msgid()}\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Quel est le préavis en cas de démission ?\r\n".encode()
    )
    count = "mail-service messages list --state pending | wc -l"
    until(lambda: int(hosts.rig.run("mail", count)) > 0, BACK_WITHIN)
    _cut("mail", hosts)
    until(lambda: len(mail.mails(ALICE)) == before + 1, BACK_WITHIN)


def test_a_key_survives_a_power_cut(hosts: World) -> None:
    made = hosts.rig.run("ai-core", "ai-core keys create 'Coupure' --scope chat")
    key = made.partition("API key: ")[2].split()[0]
    _cut("ai-core", hosts)
    hosts.await_health("ai-core")
    search = "https://ai-core.rig.test/api/v1/knowledge/search?q=préavis"
    assert hosts.session().get(search, headers={"X-API-Key": key}, timeout=30).status_code == 200


def _cut(guest: str, world: World) -> None:
    world.rig("power-cut", guest)
    world.rig("up", guest)
