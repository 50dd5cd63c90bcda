"""person.yml and rotate_keys.yml, as ansible/README.md tells an operator to run them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

import pytest
import requests

from common.crypto import Undecryptable, person_hash
from tests.deploy.hosts.conftest import THREE, World
from tests.deploy.hosts.held import Held
from tests.deploy.load import Load
from tests.mail_service.service import mail, read
from tests.mail_system import ALICE, ASSISTANT, BOB
from tests.waiting import until

MARIE, PAUL, LUC = 700_000_011, 700_000_012, 700_000_013
CROWD = 710_000_000  # and further
CHANNEL, WEB, OTHER = "webapp", "alice-du-site-web", "paul-du-site-web"
BY_BOT, BY_MAIL = "Mon patron Archibald ne paie pas mes heures.", "Ma chef Ursule me refuse un repos compensateur."
BY_WEB = "Je m'appelle Hildegarde Durand, quel est mon préavis ?"  # shared with nobody: it says who asks
BY_ALL = "Combien de jours de congés payés ?"
VAULT = {
    "ai-core": "vault_ai_core_secret_key",
    "telegram": "vault_telegram_service_secret_key",
    "mail": "vault_mail_service_secret_key",
}
CHAT = "https://ai-core.rig.test/api/v1/chat"
WITHIN = 120  # seconds for an answer


@pytest.fixture
def exports() -> Iterator[list[Path]]:
    """What is in it at the end goes."""
    written: list[Path] = []
    yield written
    for file in written:
        file.unlink()


def test_one_person_is_given_out_and_then_nothing_is_left(hosts: World, exports: list[Path]) -> None:
    held = Held(hosts)
    for person, address, web in ((MARIE, ALICE, WEB), (PAUL, BOB, OTHER)):
        everything_is_asked(hosts, person, address, web)
    names = {"mail": [ALICE], "telegram": [MARIE], "ai_core": [[CHANNEL, WEB]]}
    plain = [ALICE, str(MARIE), WEB, f"pseudo_{MARIE}"]
    hashes = hashes_of(held, MARIE, ALICE, WEB)
    for word in (ALICE, str(MARIE), *hashes):
        assert held.rows_with([word]), "the scan finds what there is"
    assert held.files_with(plain), "in files, too"

    told = exported(hosts, names, exports)
    assert BY_MAIL in told["mail"][0]["messages"][-1]["question"]
    assert BY_BOT in [turn["question"] for turn in told["telegram"][0]["conversations"]]
    assert [(one["channel"], bool(one["requests"])) for one in told["ai_core"]] == [
        (CHANNEL, True),
        ("telegram", True),
        ("mail", True),
    ]

    tried = hosts.controller.play("three-hosts", "--check", playbook="person.yml", do="erase", person=names)
    assert tried.succeeded, tried.output[-4000:]
    assert set(tried.changed.values()) == {0}, tried.tasks_that_changed()
    assert f"mail: {len(told['mail'][0]['messages'])} messages" in tried.output

    played = hosts.controller.play("three-hosts", playbook="person.yml", do="erase", person=names)
    assert played.succeeded, played.output[-4000:]
    assert not [word for word in plain if word in played.output]
    assert held.rows_with([*plain, *hashes]) == []
    assert held.files_with(plain) == []
    assert [folder for folder, raw in mailbox(hosts) if ALICE.encode() in raw] == []
    for word in (BOB, str(PAUL), *hashes_of(held, PAUL, BOB, OTHER)):
        assert held.rows_with([word]), "nobody else was touched"
    assert any(BOB.encode() in raw for _, raw in mailbox(hosts))
    assert asks_by_web(hosts, OTHER)["cached"]
    assert not asks_by_web(hosts, WEB)["cached"], "the memory of the serving process has forgotten, too"


def test_who_is_refused_is_not_named(hosts: World) -> None:
    names = {"mail": ["kein Postfach"], "telegram": [MARIE]}
    played = hosts.controller.play("three-hosts", playbook="person.yml", do="export", person=names)
    assert not played.succeeded
    assert "one of mail is no address" in played.output
    assert str(MARIE) not in played.output


def test_secrets_are_rotated_while_people_ask(hosts: World, exports: list[Path]) -> None:
    held = Held(hosts)
    everything_is_asked(hosts, LUC, BOB, "luc-du-site-web")
    names = {"mail": [BOB], "telegram": [LUC], "ai_core": [[CHANNEL, "luc-du-site-web"]]}
    hashes = hashes_of(held, LUC, BOB, "luc-du-site-web")
    old = {guest: held.secret(guest) for guest in THREE}
    new = {guest: secrets.token_hex(32) for guest in THREE}
    key, session = hosts.key("smoke-test"), hosts.session()
    by_web = Load(lambda _: ask(session, key, "load", BY_ALL).status_code, per_second=2)
    by_telegram = Load(lambda number: says(hosts, CROWD + number), per_second=1)
    with by_web, by_telegram:
        put_into_vault(hosts, {guest: f"{new[guest]} {old[guest]}" for guest in THREE})
        asks_by_telegram(hosts, LUC, BY_ALL)  # written with the new one
        with pytest.raises(Undecryptable):
            held.rows("telegram", [new["telegram"]])
        with pytest.raises(Undecryptable):
            held.rows("telegram", [old["telegram"]])
        played = hosts.controller.play("three-hosts", playbook="rotate_keys.yml")
        assert played.succeeded, played.output[-4000:]
        assert played.output.count("Nothing needs an older secret") == len(THREE)
        put_into_vault(hosts, new)
    assert not by_web.failed
    crowd = range(CROWD, CROWD + by_telegram.outcomes["200"])
    assert len(crowd) > 50
    until(lambda: all(answers(hosts, person) for person in crowd), seconds=WITHIN)
    for guest in THREE:
        assert held.rows(guest, [new[guest]])  # all of it can be read with that alone
        assert not hosts.doctor(guest)
    assert held.files_with(list(old.values())) == []

    told = exported(hosts, names, exports)
    assert BY_MAIL in told["mail"][0]["messages"][-1]["question"]
    asked = [turn["question"] for turn in told["telegram"][0]["conversations"]]
    assert {BY_BOT, BY_ALL} <= set(asked)
    everything_is_asked(hosts, LUC, BOB, "luc-du-site-web")
    hashes += hashes_of(held, LUC, BOB, "luc-du-site-web")
    played = hosts.controller.play("three-hosts", playbook="person.yml", do="erase", person=names)
    assert played.succeeded, played.output[-4000:]
    assert held.rows_with([*hashes, str(LUC), BOB]) == [], "what stood under the old secrets is found, too"


def put_into_vault(world: World, values: dict[str, str]) -> None:
    """The new secrets, for this play and all that come."""
    world.controller.keep(**{VAULT[guest]: value for guest, value in values.items()})
    played = world.controller.play("three-hosts", "--tags", "ai_core,telegram,mail")
    assert played.succeeded, played.output[-4000:]


def exported(world: World, names: dict[str, Any], written: list[Path]) -> dict[str, Any]:
    """What the playbook wrote down of somebody."""
    played = world.controller.play("three-hosts", playbook="person.yml", do="export", person=names)
    assert played.succeeded, played.output[-4000:]
    assert not [name for name in (*names["mail"], *map(str, names["telegram"])) if name in played.output]
    found = re.search(r"Written: (\S+\.json)", played.output)
    assert found, played.output[-4000:]
    file = Path(found[1])
    written.append(file)
    assert file.stat().st_mode & 0o077 == 0
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def hashes_of(held: Held, telegram: int, address: str, web: str) -> list[str]:
    """What stands for a person in the services under the secrets of now."""
    core, bot, post = (held.secret(guest).split()[0] for guest in ("ai-core", "telegram", "mail"))
    in_mail = person_hash(post, "mail", address)
    known = (("telegram", str(telegram)), ("mail", in_mail), (CHANNEL, web))
    return [in_mail, person_hash(bot, "telegram", str(telegram)), *(person_hash(core, *one) for one in known)]


def everything_is_asked(world: World, person: int, address: str, web: str) -> None:
    """By Telegram, by mail and by the API; each is answered."""
    message_id = make_msgid().strip("<>")
    question = mail(BY_MAIL, sender=address, message_id=message_id, Date=formatdate())
    world.outside.mail.deliver(question, sender=address)
    asks_by_telegram(world, person, BY_BOT)
    asks_by_web(world, web)
    assert asks_by_web(world, web)["cached"]
    until(lambda: f"<{message_id}>" in answered(world, address), seconds=WITHIN)
    until(lambda: not world.outside.mail.mails(ASSISTANT), seconds=WITHIN)  # filed under what was done


def answered(world: World, address: str) -> list[str]:
    """The Message-IDs of the mails that were replied to."""
    return [str(read(raw)["In-Reply-To"]) for raw in world.outside.mail.mails(address)]


def mailbox(world: World) -> list[tuple[str, bytes]]:
    """(folder, mail) of the assistant's whole mailbox."""
    folders = [name for _, _, name in world.outside.mail.session(ASSISTANT).list_folders()]
    return [(folder, raw) for folder in folders for raw in world.outside.mail.mails(folder=folder)]


def asks_by_telegram(world: World, person: int, text: str) -> None:
    """Returns when an answer with buttons is there that was not there before."""
    before = answers(world, person)
    world.outside.telegram.person(person, first_name="Marie", username=f"pseudo_{person}", language_code="fr")
    world.outside.telegram.say(person, text)
    until(lambda: answers(world, person) > before, seconds=WITHIN)


def answers(world: World, person: int) -> int:
    """How many they got."""
    return sum("👍" in shown.buttons for shown in world.outside.telegram.messages(person))


def says(world: World, person: int) -> int:
    """Somebody's one question; its answer is looked for later."""
    world.outside.telegram.say(person, BY_ALL)
    return 200


def asks_by_web(world: World, user: str) -> dict[str, Any]:
    """What the API says to somebody."""
    answer = ask(world.session(), world.key("smoke-test"), user, BY_WEB)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def ask(session: requests.Session, key: str, user: str, text: str) -> requests.Response:
    """One question to the API."""
    question = {"message": text, "channel": CHANNEL, "user_id": user, "parameters": {"temperature": 0}}
    return session.post(CHAT, json=question, headers={"X-API-Key": key}, timeout=70)
