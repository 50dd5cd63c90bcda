"""Each alert fires when its cause is made and goes when it is gone; a quiet day has none. By `promtool test rules`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import ai_core.cli
import common.backup.__main__
import mail_service.cli
import telegram_service.cli

REPOSITORY = Path(__file__).parents[2]
MONITORING = REPOSITORY / "monitoring"
RULES = yaml.safe_load((MONITORING / "rules.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
DAY = 86_400

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
)


@dataclass(frozen=True)
class Cause:
    """`series`: name{labels} -> values of a minute each, in promtool's notation; what is well until minute 60, then is
    not until minute 120, then is again. The alert is silent at 59, fires at `fires`, and is gone at `gone`."""

    alert: str
    series: dict[str, str]
    fires: int = 119
    gone: int = 200
    name: str = ""


def change(well: float, ill: float) -> str:
    """A figure that is ill for an hour."""
    return f"{well}x59 {ill}x59 {well}x400"


def growth(well: float, ill: float) -> str:
    """A counter that grows by so much each minute."""
    return f"0+{well}x59 {well * 60}+{ill}x59 {well * 60 + ill * 60}+{well}x400"


def histogram(name: str, labels: str, fast: str, slow: str, growing: str) -> dict[str, str]:
    """Durations that are below `fast` while all is well, above `slow` while it is not."""
    one = "0+10x500"
    return {
        f'{name}_bucket{{{labels}, le="{fast}"}}': "0+10x59 600+0x59 600+10x400",
        f'{name}_bucket{{{labels}, le="{slow}"}}': "0+10x59 600+0x59 600+10x400",
        f'{name}_bucket{{{labels}, le="{growing}"}}': one,
        f'{name}_bucket{{{labels}, le="+Inf"}}': one,
    }


AI = 'job="ai_core", instance="ai.example.org", host="ai"'
BOT = 'job="telegram_service", instance="bot.example.org", host="bot"'
POST = 'job="mail_service", instance="mail.example.org", host="post"'
NODE = 'job="node", instance="ai", host="ai"'
DISK = f'{NODE}, device="/dev/vda", mountpoint="/", fstype="ext4"'
GIB = 1 << 30

CAUSES = [
    Cause("ServiceDown", {f"up{{{AI}}}": change(1, 0)}, fires=64, gone=122),
    Cause("ServiceNotReady", {'probe_success{job="ready", instance="ai.example.org"}': change(1, 0)}, gone=122),
    Cause("ComponentDown", {f'component_up{{{AI}, component="database"}}': change(1, 0)}, gone=122),
    Cause(
        "ServiceDegraded",
        {
            'probe_success{job="whole", instance="mail.example.org"}': change(1, 0),
            'probe_success{job="ready", instance="mail.example.org"}': "1x500",
        },
        gone=122,
    ),
    Cause(
        "UnitDown",
        {f'node_systemd_unit_state{{{NODE}, name="telegram-worker@1.service", state="active"}}': change(1, 0)},
        fires=64,
        gone=122,
    ),
    Cause(
        "UnitFailed",
        {f'node_systemd_unit_state{{{NODE}, name="code-du-travail-backup.service", state="failed"}}': change(0, 1)},
        gone=122,
    ),
    Cause(
        "UnitRestarts",
        {f'node_systemd_service_restart_total{{{NODE}, name="ai-core.service"}}': growth(0, 2)},
        gone=140,
    ),
    Cause(
        "ErrorRate",
        {
            f'http_requests_total{{{AI}, route="/api/v1/chat", status="200"}}': "0+100x500",
            f'http_requests_total{{{AI}, route="/api/v1/chat", status="500"}}': growth(0, 20),
        },
        gone=135,
    ),
    Cause("AnswersSlow", histogram("ai_core_e2e_request_latency_seconds", AI, "5", "45", "60"), gone=140),
    Cause("FirstWordSlow", histogram("ai_core_time_to_first_token_seconds", AI, "1", "20", "60"), gone=140),
    Cause("RepliesSlow", histogram("telegram_update_seconds", BOT, "10", "120", "600"), gone=140, name="telegram"),
    Cause("RepliesSlow", histogram("mail_answer_seconds", POST, "60", "1800", "3600"), gone=190, name="mail"),
    Cause(
        "EngineStalled",
        {
            f"ai_core_seconds_since_last_step{{{AI}}}": change(0, 90),
            f"ai_core_requests_processing{{{AI}}}": "2x500",
        },
        gone=122,
    ),
    Cause("UsageLost", {f"ai_core_usage_rows_dropped_total{{{AI}}}": growth(0, 1)}),
    Cause("QuestionsQueueGrows", {f"ai_core_requests_deferred{{{AI}}}": change(1, 30)}, gone=122),
    Cause(
        "TelegramQueueGrows",
        {
            f'telegram_queue_length{{{BOT}, place="waiting"}}': change(2, 80),
            f"telegram_queue_oldest_seconds{{{BOT}}}": "5x500",
        },
        gone=122,
        name="many",
    ),
    Cause("TelegramQueueGrows", {f"telegram_queue_oldest_seconds{{{BOT}}}": change(5, 900)}, gone=122, name="old"),
    Cause(
        "MailQueueGrows",
        {f'mail_messages{{{POST}, state="pending"}}': change(1, 40), f"mail_completed_total{{{POST}}}": "0+1x500"},
        gone=122,
        name="many",
    ),
    Cause(
        "MailQueueGrows",
        {f'mail_messages{{{POST}, state="pending"}}': change(0, 1), f"mail_completed_total{{{POST}}}": "5x500"},
        gone=122,
        name="stuck",
    ),
    Cause("MailBreaker", {f'mail_held_total{{{POST}, reason="hourly_limit"}}': growth(0, 1), f"up{{{POST}}}": "1x500"}),
    Cause(
        "MailBreaker",
        {f'mail_held_total{{{POST}, reason="sender_limit"}}': "_x60 1x400", f"up{{{POST}}}": "1x500"},
        fires=90,
        name="first",
    ),
    Cause("DeadLetters", {f'telegram_queue_length{{{BOT}, place="dead"}}': change(0, 1)}, gone=122, name="telegram"),
    Cause("DeadLetters", {f'mail_messages{{{POST}, state="failed"}}': "3x59 4x400"}, fires=90, name="mail"),
    Cause("HostDown", {f"up{{{NODE}}}": change(1, 0)}, fires=64, gone=122),
    Cause(
        "DiskAlmostFull",
        {
            f"node_filesystem_avail_bytes{{{DISK}}}": change(30 * GIB, 2 * GIB),
            f"node_filesystem_size_bytes{{{DISK}}}": f"{40 * GIB}x500",
            f"node_filesystem_readonly{{{DISK}}}": "0x500",
        },
        gone=122,
    ),
    Cause(
        "DiskFillsUp",
        {
            f"node_filesystem_avail_bytes{{{DISK}}}": f"{14 * GIB}x59 {14 * GIB}-{GIB // 20}x239 {30 * GIB}x400",
            f"node_filesystem_size_bytes{{{DISK}}}": f"{40 * GIB}x600",
        },
        fires=280,
        gone=302,
    ),
    Cause(
        "InodesAlmostGone",
        {
            f"node_filesystem_files_free{{{DISK}}}": change(500_000, 10_000),
            f"node_filesystem_files{{{DISK}}}": "1000000x500",
        },
        gone=122,
    ),
    Cause(
        "MemoryAlmostGone",
        {
            f"node_memory_MemAvailable_bytes{{{NODE}}}": change(4 * GIB, GIB // 4),
            f"node_memory_MemTotal_bytes{{{NODE}}}": f"{8 * GIB}x500",
        },
        gone=122,
    ),
    Cause("OutOfMemory", {f"node_vmstat_oom_kill{{{NODE}}}": growth(0, 1)}, gone=140),
    Cause(
        "CertificateEnds",
        {'probe_ssl_earliest_cert_expiry{job="certificate", instance="a:443"}': change(60 * DAY, 10 * DAY)},
        gone=122,
    ),
    Cause(
        "CertificateEnded",
        {'probe_ssl_earliest_cert_expiry{job="certificate", instance="a:443"}': change(60 * DAY, -100)},
        gone=122,
    ),
    Cause(
        "BackupOld",
        {f"code_du_travail_backup_last_success_timestamp_seconds{{{NODE}}}": change(0, -31 * 3_600)},
        gone=122,
    ),
    Cause(
        "BackupMissing",
        {
            f'up{{{NODE}, backup="expected"}}': "1x3000",
            f"code_du_travail_backup_last_success_timestamp_seconds{{{NODE}}}": "_x2000 0x1000",
        },
        fires=1_900,
        gone=2_010,
    ),
    Cause("BackupNotSent", {f"code_du_travail_backup_target_ok{{{NODE}}}": change(1, 0)}, gone=122),
    Cause("FiguresUnreadable", {f"node_textfile_scrape_error{{{NODE}}}": change(0, 1)}, gone=122),
    Cause(
        "AlertsNotSent",
        {'alertmanager_notifications_failed_total{job="alertmanager", integration="email"}': growth(0, 1)},
        gone=140,
    ),
]


def promtool(folder: Path, tests: list[dict[str, Any]]) -> None:
    """Run unit tests of the rules."""
    shutil.copy(MONITORING / "rules.yml", folder)
    file = folder / "tests.json"
    file.write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", file.name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def firing(alert: str, minute: int, count: int) -> dict[str, Any]:
    """How many alerts of this name fire then."""
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": count}],
    }


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: "-".join(filter(None, (cause.alert, cause.name))))
def test_an_alert_fires_when_its_cause_is_made_and_resolves(cause: Cause, tmp_path: Path) -> None:
    before = [] if cause.alert == "BackupMissing" else [firing(cause.alert, 59, 0)]
    promtool(
        tmp_path,
        [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in cause.series.items()],
                "promql_expr_test": [*before, firing(cause.alert, cause.fires, 1), firing(cause.alert, cause.gone, 0)],
            }
        ],
    )


def test_each_alert_has_a_cause_here() -> None:
    assert ALERTS.keys() == {cause.alert for cause in CAUSES}


QUIET = {
    f"up{{{AI}}}": "1x60 0x1 1x300",  # a deploy: the answer to one question was no
    f"up{{{BOT}}}": "1x400",
    f"up{{{POST}}}": "1x400",
    f'up{{{NODE}, backup="expected"}}': "1x400",
    f'component_up{{{AI}, component="model"}}': "1x60 0x3 1x300",  # it loads its model
    'probe_success{job="ready", instance="ai.example.org"}': "1x60 0x3 1x300",
    'probe_success{job="whole", instance="ai.example.org"}': "1x60 0x5 1x300",
    f'node_systemd_unit_state{{{NODE}, name="ai-core.service", state="active"}}': "1x60 0x1 1x300",
    f'node_systemd_unit_state{{{NODE}, name="ai-core.service", state="failed"}}': "0x400",
    f'node_systemd_service_restart_total{{{NODE}, name="ai-core.service"}}': "3x60 0x300",
    f'http_requests_total{{{AI}, route="/api/v1/chat", status="200"}}': "0+2x400",
    f'http_requests_total{{{AI}, route="/api/v1/chat", status="500"}}': "0x100 1x300",  # one of a few requests
    f'http_requests_total{{{AI}, route="/health/ready", status="503"}}': "0x60 12x300",
    f"ai_core_requests_deferred{{{AI}}}": "0x30 40x3 0x300",  # a burst
    f"ai_core_requests_processing{{{AI}}}": "1x30 0x300",
    f"ai_core_seconds_since_last_step{{{AI}}}": "0x30 60+60x300",  # nobody asks at night
    f"ai_core_usage_rows_dropped_total{{{AI}}}": "0x400",
    f'telegram_queue_length{{{BOT}, place="waiting"}}': "0x30 70x5 0x300",
    f'telegram_queue_length{{{BOT}, place="dead"}}': "0x400",
    f"telegram_queue_oldest_seconds{{{BOT}}}": "3x30 200x5 0x300",
    f'mail_messages{{{POST}, state="pending"}}': "0x30 5x8 0x300",
    f'mail_messages{{{POST}, state="failed"}}': "7x200 6x200",  # an old one was erased
    f"mail_completed_total{{{POST}}}": "10x400",
    f'mail_held_total{{{POST}, reason="hourly_limit"}}': "4x400",  # long ago
    f'mail_held_total{{{POST}, reason="operator"}}': "_x50 1x300",
    f"node_filesystem_avail_bytes{{{DISK}}}": f"{30 * GIB}-{GIB // 1000}x400",
    f"node_filesystem_size_bytes{{{DISK}}}": f"{40 * GIB}x400",
    f"node_filesystem_readonly{{{DISK}}}": "0x400",
    f"node_filesystem_files_free{{{DISK}}}": "900000x400",
    f"node_filesystem_files{{{DISK}}}": "1000000x400",
    f"node_memory_MemAvailable_bytes{{{NODE}}}": f"{3 * GIB}x60 {GIB // 2}x3 {3 * GIB}x300",
    f"node_memory_MemTotal_bytes{{{NODE}}}": f"{8 * GIB}x400",
    f"node_vmstat_oom_kill{{{NODE}}}": "0x400",
    'probe_ssl_earliest_cert_expiry{job="certificate", instance="a:443"}': f"{29 * DAY}x400",  # certbot renews at 30
    f"code_du_travail_backup_last_success_timestamp_seconds{{{NODE}}}": f"{-20 * 3_600}x400",
    f"code_du_travail_backup_target_ok{{{NODE}}}": "1x400",
    f"node_textfile_scrape_error{{{NODE}}}": "0x400",
    'alertmanager_notifications_failed_total{job="alertmanager", integration="email"}': "2x400",
    **{
        f'{name}_bucket{{{labels}, le="{bound}"}}': "0+1x400"
        for name, labels, bounds in (
            ("ai_core_e2e_request_latency_seconds", AI, ("20", "60", "+Inf")),
            ("ai_core_time_to_first_token_seconds", AI, ("2", "60", "+Inf")),
            ("telegram_update_seconds", BOT, ("10", "+Inf")),
        )
        for bound in bounds
    },
    # One mail of the evening was answered late.
    f'mail_answer_seconds_bucket{{{POST}, le="1800"}}': "0x400",
    f'mail_answer_seconds_bucket{{{POST}, le="3600"}}': "0x60 1x300",
    f'mail_answer_seconds_bucket{{{POST}, le="+Inf"}}': "0x60 1x300",
}


def test_hours_with_a_deploy_a_burst_and_a_single_error_have_no_alert(tmp_path: Path) -> None:
    nothing = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": f"{minute}m",
            "exp_samples": [],
        }
        for minute in range(0, 360, 2)
    ]
    series = [{"series": name, "values": values} for name, values in QUIET.items()]
    promtool(tmp_path, [{"interval": "1m", "input_series": series, "promql_expr_test": nothing}])


def test_the_rules_ask_for_figures_that_there_are() -> None:
    sources = "".join(
        path.read_text()
        for package in ("common", "ai_core", "telegram_service", "mail_service")
        for path in (REPOSITORY / package).rglob("*.py")
    )
    ours = re.compile(r"\b(?:ai_core|telegram|mail|code_du_travail|component|http)_[a-z_]+")
    for alert, rule in ALERTS.items():
        plain = re.sub(r'"[^"]*"', "", rule["expr"])
        for figure in ours.findall(plain):
            stem = re.sub(r"_(?:total|bucket)$", "", figure)
            # Counters of bots are made of a prefix and a name.
            known = stem in sources or f'("{stem.partition("_")[2]}", ' in sources
            assert known, f"{alert}: {figure} is no figure of any service"


def test_each_alert_says_what_to_do() -> None:
    headings = {
        "#" + line[3:].strip().lower().replace(" ", "-")
        for line in (MONITORING / "runbooks.md").read_text().splitlines()
        if line.startswith("## ")
    }
    named = {rule["annotations"]["runbook"] for rule in ALERTS.values()}
    assert {runbook.removeprefix("runbooks.md") for runbook in named} == headings
    assert all(rule["labels"]["severity"] in ("critical", "warning") for rule in ALERTS.values())


COMMANDS = {
    "ai-core": ai_core.cli.main,
    "telegram-service": telegram_service.cli.main,
    "mail-service": mail_service.cli.main,
    "code-du-travail-backup": common.backup.__main__.main,
}


@pytest.mark.parametrize("book", ["monitoring/runbooks.md", "ansible/README.md"])
def test_the_books_name_commands_that_there_are(book: str) -> None:
    text = re.sub(r"```.*?```", "", (REPOSITORY / book).read_text(), flags=re.DOTALL)
    named = [quoted.removeprefix("sudo ").split() for quoted in re.findall(r"`([^`]+)`", text)]
    ours = [words for words in named if words and words[0] in COMMANDS and len(words) > 1]
    assert ours
    for program, *words in ours:
        # What they say of themselves, instead of what they do; a word that they do not know comes first.
        asked = ["1" if word == "ID" else word for word in words] + ["--help"]
        with pytest.raises(SystemExit) as end:
            COMMANDS[program](asked)
        assert end.value.code == 0, f"{book}: {program} {' '.join(words)}"
