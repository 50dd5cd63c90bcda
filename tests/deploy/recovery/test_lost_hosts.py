"""Three hosts are lost with all that was on them, made again, and restored; in between an archive is damaged."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import requests

from tests.deploy.recovery.conftest import GUESTS, Recovery
from tests.mail_system import ALICE, ASSISTANT
from tests.waiting import until

CORE, BOT, POST = GUESTS
PERSON = 4_712
QUESTION = "Quelle est la durée légale du travail ?"
LATE = "Combien de jours de congés payés par an ?"
MODELS = {"models": {"le-notre": {"path": "/nowhere/le-notre.gguf", "description": "of this installation"}}}
MODELS_FILE = "/var/lib/code-du-travail/ai_core/models.json"


def ask_by_key(recovery: Recovery, key: str) -> requests.Response:
    with requests.Session() as session:
        session.verify = str(recovery.rig.authority)
        body = {"message": QUESTION, "channel": "webapp", "user_id": "rig"}
        url = "https://ai-core.lost.test/api/v1/chat"
        return session.post(url, json=body, headers={"X-API-Key": key}, timeout=70)


def held(recovery: Recovery) -> dict[str, object]:
    """What the bots hold of the person and of Alice; of Telegram the first conversation, since the next begins by
    itself when the service does."""
    names = json.dumps({"mail": [ALICE], "telegram": [PERSON]})
    (bot,) = json.loads(recovery.rig.run(BOT, f"echo '{names}' | telegram-service person export"))["telegram"]
    post = json.loads(recovery.rig.run(POST, f"echo '{names}' | mail-service person export"))
    first_seen = bot["person"] and bot["person"]["first_seen_at"]
    return {**post, "first_seen": first_seen, "conversation": bot["conversations"][:1]}


def people_ask(recovery: Recovery) -> str:
    """By each way; returns the key of an API client."""
    rig, outside = recovery.rig, recovery.outside
    key = rig.run(CORE, "ai-core keys create client").split("API key: ")[1].split()[0]
    assert ask_by_key(recovery, key).status_code == 200
    rig.run(CORE, f"echo '{json.dumps(MODELS)}' > {MODELS_FILE} && chown ai-core:ai-core {MODELS_FILE}")
    outside.mail.deliver(
        f"From: {ALICE}\r\nTo: {ASSISTANT}\r\nSubject: Question\r\nMessage-ID: <lost-1@client.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{QUESTION}\r\n".encode()
    )
    outside.telegram.say(PERSON, QUESTION)
    until(lambda: any("3121-27" in shown.text for shown in outside.telegram.messages(PERSON)), seconds=240)
    until(lambda: outside.mail.mails(ALICE), seconds=240)
    until(lambda: "completed" in rig.run(POST, "mail-service messages list"), seconds=60)
    # Telegram was told that this one is ours; nobody answers it before the host is lost.
    rig.run(BOT, "systemctl stop 'telegram-worker@*'")
    outside.telegram.say(PERSON, LATE)
    until(lambda: re.search(r"^waiting +1$", rig.run(BOT, "telegram-service queue"), re.MULTILINE), seconds=60)
    return key


def damaged(archives: Path, folder: Path) -> Path:
    """The same archives, one bit of one of them flipped."""
    shutil.copytree(archives, folder)
    archive = next(folder.glob("mail-host-*"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    return folder


def test_everything_comes_back_and_nothing_from_a_damaged_archive(recovery: Recovery, tmp_path: Path) -> None:
    recovery.build()
    key = people_ask(recovery)
    before = held(recovery)
    assert QUESTION in json.dumps(before, ensure_ascii=False)
    recovery.must_play("backup.yml")
    for guest in GUESTS:
        recovery.rig.run(guest, "systemctl start code-du-travail-backup.service")  # within what systemd lets it do
        assert int(recovery.rig.run(guest, "code-du-travail-backup list | wc -l")) == 2
    assert len(list(recovery.archives.glob("*.tar.gz.age"))) == 3

    recovery.lose_and_rebuild()
    assert held(recovery) != before
    assert ask_by_key(recovery, key).status_code == 401

    began = recovery.rig.run(POST, "systemctl show -p ActiveEnterTimestamp mail-web.service")
    refused = recovery.play("restore.yml", backup_controller_folder=str(damaged(recovery.archives, tmp_path / "x")))
    assert not refused.succeeded
    assert "was changed, is cut off, or was signed with another key" in " ".join(refused.output.split())
    assert recovery.rig.run(POST, "systemctl show -p ActiveEnterTimestamp mail-web.service") == began
    assert held(recovery) != before

    started = time.monotonic()
    restored = recovery.must_play("restore.yml")
    print(
        f"restore.yml: {time.monotonic() - started:.0f} s",
        [line for line in restored.output.splitlines() if "in all" in line],
    )
    assert held(recovery) == before
    assert ask_by_key(recovery, key).status_code == 200
    assert json.loads(recovery.rig.run(CORE, f"cat {MODELS_FILE}")) == MODELS
    assert recovery.rig.run(CORE, f"stat -c '%U %a' {MODELS_FILE}").split()[0] == "ai-core"
    # What waited in Redis is answered now.
    telegram = recovery.outside.telegram
    until(lambda: len([shown for shown in telegram.messages(PERSON) if "3141" in shown.text]) > 0, seconds=240)
    again = recovery.must_play("site.yml")
    assert ask_by_key(recovery, key).status_code == 200, again.output[-2000:]
