"""The command line, as an operator uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telegram_service.cli import main
from telegram_service.composition import compose
from telegram_service.settings import Settings
from tests.redis_server import RedisServer
from tests.systemd import Systemd
from tests.telegram_server import TelegramServer
from tests.telegram_service.test_mailbox import message
from tests.waiting import until

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
HOOK = "https://telegram.example.org/webhook"


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def environment(telegram: TelegramServer, redis_server: RedisServer, tmp_path: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": redis_server.url,
        "SECRET_KEY": "k" * 40,
        "TELEGRAM_BOT_TOKEN": telegram.token,
        "TELEGRAM_API_URL": telegram.url,
        "AI_API_URL": "http://127.0.0.1:9",
        "AI_API_KEY": "cdt-key",
    }


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str, **variables: str) -> tuple[int, str, str]:
        for name, value in {**environment, **variables}.items():
            monkeypatch.setenv(name, value)
        status = main(arguments)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_a_bad_setting_is_one_line(run: Run) -> None:
    status, out, error = run("check-config", WORKER_THREADS="many")
    assert (status, out) == (2, "")
    assert error == "telegram-service: WORKER_THREADS: 'many' is not a whole number\n"
    assert run("check-config")[0] == 2, "the variable is still set"


def test_the_settings_are_read_and_told(run: Run) -> None:
    status, out, _ = run("check-config", WEBHOOK_URL=HOOK)
    assert status == 0
    assert HOOK in out


def test_the_web_process_needs_a_secret(run: Run) -> None:
    assert run("serve") == (2, "", "telegram-service: WEBHOOK_SECRET: must be set\n")


def test_a_poller_does_not_take_the_webhooks_updates(run: Run) -> None:
    status, _, error = run("poller", WEBHOOK_URL=HOOK)
    assert status == 2
    assert error.startswith("telegram-service: WEBHOOK_URL: ")


def test_the_webhook_is_set_and_what_waits_is_kept(run: Run, telegram: TelegramServer) -> None:
    telegram.say(101, "Bonjour, une question")
    secret = {"WEBHOOK_URL": HOOK, "WEBHOOK_SECRET": "s" * 20}
    status, out, _ = run("set-webhook", "--dry-run", **secret)
    assert status == 0
    assert HOOK in out
    assert "1 updates wait" in out
    assert telegram.updates.webhook["url"] == "", "a dry run changes nothing"
    assert telegram.called("setMyCommands") == []
    status, out, _ = run("set-webhook", **secret)
    assert (status, telegram.updates.webhook["url"]) == (0, HOOK)
    assert telegram.called("setMyCommands"), "the menu comes with it"
    assert telegram.updates.waiting() == 1
    assert "s" * 20 not in out
    assert telegram.token not in out
    assert run("set-webhook", "--remove", **secret)[0] == 0
    assert telegram.updates.webhook["url"] == ""
    assert telegram.updates.waiting() == 1


def test_without_a_url_there_is_no_webhook_to_set(run: Run) -> None:
    status, _, error = run("set-webhook")
    assert (status, error) == (2, "telegram-service: WEBHOOK_URL: must be set, and WEBHOOK_SECRET too\n")


def test_a_wrong_token_is_said_without_showing_it(run: Run) -> None:
    wrong = f"123456789:{'A' * 35}"
    status, out, error = run("set-webhook", "--remove", TELEGRAM_BOT_TOKEN=wrong)
    assert status == 1
    assert error == "telegram-service: Telegram: TelegramAway token\n"
    assert wrong not in out


def test_the_menu_is_set_in_both_languages(run: Run, telegram: TelegramServer) -> None:
    assert run("set-menu", "--dry-run")[0] == 0
    assert telegram.called("setMyCommands") == []
    assert run("set-menu")[0] == 0
    told = {
        call.parameters.get("language_code", ""): json.dumps(call.parameters)
        for call in telegram.called("setMyCommands")
    }
    assert set(told) >= {"", "en"}
    assert "settings" in told["en"]


def test_the_doctor_looks_at_each_part(run: Run, telegram: TelegramServer) -> None:
    status, out, _ = run("doctor")
    assert status == 1, "there is no AI core"
    lines = {line.split()[1]: line.split()[0] for line in out.splitlines()}
    assert lines == {
        "queue": "degraded", "database": "ok", "telegram": "ok", "webhook": "ok", "ai_core": "degraded"
    }  # fmt: skip
    assert telegram.token not in out


def test_the_doctor_says_what_is_down(run: Run) -> None:
    status, out, _ = run("doctor", REDIS_URL="redis://127.0.0.1:9/0", TELEGRAM_API_URL="http://127.0.0.1:9")
    assert status == 1
    assert "down" in out
    assert "9/0" not in out


def test_dead_letters_are_listed_and_revived(run: Run, environment: dict[str, str]) -> None:
    mailbox = compose(Settings.from_environment(environment)).mailbox
    mailbox.put(message(77))
    claim = mailbox.claim("w")
    assert claim is not None
    mailbox.bury(claim, "failed too often")
    status, out, _ = run("dead-letters", "list")
    assert status == 0
    assert "77" in out
    assert "failed too often" in out
    assert "101" not in out, "nobody is named"
    assert run("dead-letters", "revive", "78")[0] == 1
    assert run("dead-letters", "revive", "77")[0] == 0
    assert run("dead-letters", "list")[1] == ""
    assert "waiting                   1" in run("queue")[1]


def test_keys_are_made_listed_and_revoked(run: Run) -> None:
    status, out, _ = run("keys", "create", "Prometheus", "--scope", "metrics")
    assert status == 0
    key = out.split()[2]
    assert "Key 1 (metrics) is shown this once" in out
    listed = run("keys", "list")[1]
    assert "metrics  last used never  Prometheus" in listed
    assert "Prometheus" in listed
    assert key not in listed
    assert run("keys", "revoke", "1")[0] == 0
    assert run("keys", "revoke", "1")[0] == 1
    assert "revoked" in run("keys", "list")[1]


def test_what_is_away_is_one_line(run: Run) -> None:
    assert run("queue", REDIS_URL="redis://127.0.0.1:9/0")[0] == 1
    status, _, error = run("keys", "list", DATABASE_URL="postgresql://nobody:geheim@127.0.0.1:9/x")
    assert (status, error) == (1, "telegram-service: the database does not answer\n")


def test_a_worker_tells_systemd_that_it_lives_and_ends_when_told(environment: dict[str, str], tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    worker = subprocess.Popen(
        [sys.executable, "-m", "telegram_service", "worker"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            **environment,
            "NOTIFY_SOCKET": systemd.address,
            "WATCHDOG_USEC": "400000",
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: "READY=1" in systemd.hears())
        until(lambda: "WATCHDOG=1" in systemd.hears())
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        systemd.close()
