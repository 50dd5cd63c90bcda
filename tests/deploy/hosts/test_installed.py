"""What an operator finds after the first play: names with certificates, closed ports, nothing left to change."""

from __future__ import annotations

import socket
import ssl

import pytest

from tests.deploy.hosts.conftest import THREE, World
from tests.deploy.playbook import Played
from tests.deploy.rig import address

PAGES = {"ai-core": "/docs", "telegram": "/health", "mail": "/health"}
EXPECTED_OPEN = {22, 80, 443}
SECRETS = "rig-secret|rig-redis-password|rig-webhook-secret|ouvre-toi|cdt-[A-Za-z0-9]{6,}-[A-Za-z0-9_-]{20,}"


@pytest.mark.parametrize("guest", THREE)
def test_each_name_has_a_certificate_and_http_leads_to_it(hosts: World, guest: str) -> None:
    name = f"{guest}.rig.test"
    plain = hosts.session().get(f"http://{name}/docs?a=b", allow_redirects=False, timeout=20)
    assert plain.headers["Location"] == f"https://{name}/docs?a=b"
    secure = hosts.session().get(f"https://{name}{PAGES[guest]}", timeout=20)
    assert secure.status_code == 200
    assert "max-age=" in secure.headers["Strict-Transport-Security"]


def test_swagger_is_served(hosts: World) -> None:
    page = hosts.session().get("https://ai-core.rig.test/docs", timeout=20)
    assert "swagger" in page.text.lower()


def test_a_renewal_is_served_without_a_restart(hosts: World) -> None:
    before, master = _serial(hosts, "mail"), hosts.rig.run("mail", "cat /run/nginx.pid")
    hosts.rig.run("mail", "certbot renew --quiet --force-renewal --no-random-sleep-on-renew")
    assert _serial(hosts, "mail") != before
    assert hosts.rig.run("mail", "cat /run/nginx.pid") == master


@pytest.mark.parametrize("guest", THREE)
def test_the_doctor_finds_nothing(hosts: World, guest: str) -> None:
    assert not hosts.doctor(guest)


@pytest.mark.parametrize("guest", THREE)
def test_no_unit_has_failed(hosts: World, guest: str) -> None:
    assert hosts.rig.run(guest, "systemctl --failed --no-legend") == ""


@pytest.mark.parametrize("guest", THREE)
def test_a_neighbour_reaches_ssh_and_the_web_only(hosts: World, guest: str) -> None:
    neighbour = "mail" if guest != "mail" else "telegram"
    scan = (
        "import asyncio\n"
        "async def probe(port, gate):\n"
        "    async with gate:\n"
        "        try:\n"
        f"            await asyncio.wait_for(asyncio.open_connection('{address(guest)}', port), 0.7)\n"
        "        except (OSError, asyncio.TimeoutError):\n"
        "            return None\n"
        "        return port\n"
        "async def main():\n"
        "    gate = asyncio.Semaphore(800)\n"
        "    print(*filter(None, await asyncio.gather(*(probe(port, gate) for port in range(1, 12_000)))))\n"
        "asyncio.run(main())\n"
    )
    found = hosts.rig.run(neighbour, f'ulimit -n 4096; python3 -c "{scan}"')
    assert set(map(int, found.split())) == EXPECTED_OPEN


def test_refusals_are_found_by_fail2ban(hosts: World) -> None:
    url = "https://ai-core.rig.test/api/v1/models"
    assert hosts.session().get(url, headers={"X-API-Key": "none"}, timeout=20).status_code == 401
    log, rules = "/var/log/nginx/ai-core.access.log", "/etc/fail2ban/filter.d/code-du-travail.conf"
    found = hosts.rig.run("ai-core", f"grep ' 401,' {log} | tail -n 1 > /tmp/line; fail2ban-regex /tmp/line {rules}")
    assert "1 matched" in found


def test_no_secret_is_printed_or_in_a_unit(hosts: World, first_play: Played) -> None:
    token = hosts.outside.telegram.token
    for client in ("smoke-test", "telegram", "mail"):
        assert hosts.key(client) not in first_play.output
    for secret in (token, "rig-secret", "rig-redis-password", "rig-webhook-secret", "ouvre-toi"):
        assert secret not in first_play.output
    for guest in THREE:
        places = "/etc/systemd /etc/code-du-travail/*.env /etc/code-du-travail/doctor.json /etc/nginx"
        assert hosts.rig.run(guest, f"grep -rlE '{SECRETS}' {places} || true") == ""
        readable = "find /etc/code-du-travail/credentials -type f -perm /077"
        assert hosts.rig.run(guest, readable) == ""


def _serial(world: World, guest: str) -> str:
    context = ssl.create_default_context(cafile=str(world.rig.authority))
    with (
        socket.create_connection((address(guest), 443), 20) as plain,
        context.wrap_socket(plain, server_hostname=f"{guest}.rig.test") as secure,
    ):
        shown = secure.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])
