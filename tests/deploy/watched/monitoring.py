"""Prometheus, Alertmanager, blackbox and node exporter as the role configures them, on free ports of the loopback."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml  # type: ignore[import-untyped]

from tests.end_to_end.server import free_port
from tests.waiting import until

REPOSITORY = Path(__file__).parents[3]
MONITORING = REPOSITORY / "monitoring"
ROLE = REPOSITORY / "ansible" / "roles" / "monitoring" / "templates"
RUNBOOKS = "https://wiki.example.org/"
EVERY = 1  # seconds between two looks

Labels = dict[str, str]


def missing(*programs: str) -> str | None:
    """Why monitoring cannot be started here, or None."""
    absent = [name for name in programs if shutil.which(name) is None]
    return f"not installed: apt-get install {' '.join(absent)}" if absent else None


@dataclass(frozen=True)
class Service:
    """What answers /metrics with `key` at `address`, a port of the loopback."""

    job: str
    name: str
    host: str
    port: int
    key: str


@dataclass(frozen=True)
class Node:
    """A machine with a node exporter. `texts`: where its backup leaves figures; `bus`: of its systemd."""

    host: str
    texts: Path
    backup: str = "none"
    bus: str = ""
    port: int = field(default_factory=free_port)


@dataclass(frozen=True)
class Certificate:
    """Of a server on a port of the loopback."""

    host: str
    port: int


class Monitoring:
    """All programs over rendered configurations. `rules` instead of those of production; `receivers`: variables of the
    role that say who is told; they look `every` so many seconds."""

    def __init__(
        self,
        folder: Path,
        services: Sequence[Service],
        *,
        nodes: Sequence[Node] = (),
        certificates: Sequence[Certificate] = (),
        rules: Mapping[str, Any] | None = None,
        receivers: Mapping[str, object] | None = None,
        every: int = EVERY,
    ) -> None:
        self.folder = folder
        self._nodes = nodes
        self._every = every
        self._ports = {name: free_port() for name in ("prometheus", "alertmanager", "blackbox")}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "keys").mkdir()
        for service in services:
            # One key a job, as in production: several of a job share it.
            (folder / "keys" / service.job).write_text(service.key)
        (folder / "rules.yml").write_text(
            (MONITORING / "rules.yml").read_text() if rules is None else json.dumps(rules)
        )
        values = self._values(services, certificates) | dict(receivers or {})
        for name in ("prometheus.yml", "alertmanager.yml", "operator.tmpl"):
            (folder / name).write_text(_rendered(MONITORING, name, values))
        quicker = (folder / "prometheus.yml").read_text().replace("scrape_interval: 1m", f"scrape_interval: {every}s")
        (folder / "prometheus.yml").write_text(quicker)

    def check(self) -> None:
        """The programs' own look at their configuration."""
        checks = (["promtool", "check", "config", "prometheus.yml"], ["amtool", "check-config", "alertmanager.yml"])
        for command in checks:
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Those that watch, and those that are asked; return once Prometheus can be asked."""
        files = ["--config.file=alertmanager.yml", "--storage.path=alerts", "--cluster.listen-address="]
        self._run("alertmanager", ["prometheus-alertmanager", *files, self._listen("alertmanager")])
        for node in self._nodes:
            self.start_node(node)
        if self._nodes:
            probes = [f"--config.file={MONITORING / 'blackbox.yml'}", self._listen("blackbox")]
            self._run("blackbox", ["prometheus-blackbox-exporter", *probes])
        files = ["--config.file=prometheus.yml", "--storage.tsdb.path=figures"]
        self._run("prometheus", ["prometheus", *files, self._listen("prometheus")])
        until(self._is_up)

    def start_node(self, node: Node) -> None:
        """A node exporter with the options of the role."""
        values = {"inventory_hostname": node.host, "monitoring_server": node.host, "monitoring_node_port": node.port}
        line = _rendered(ROLE, "node-exporter", values).splitlines()[-1]
        options = line.removeprefix('ARGS="').removesuffix('"').replace(
            "/var/lib/prometheus/node-exporter", str(node.texts)
        )  # fmt: skip
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": node.bus}
        self._run(f"node-{node.host}", ["prometheus-node-exporter", *shlex.split(options, posix=False)], environment)

    def stop_node(self, node: Node) -> None:
        """As where a machine loses its power."""
        process = self._running.pop(f"node-{node.host}")
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all of them."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(30)

    def ask(self, path: str, **query: str) -> Any:
        """What Prometheus' API answers."""
        address = f"http://127.0.0.1:{self._ports['prometheus']}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as response:
            return json.loads(response.read())["data"]

    def figures(self, expression: str) -> list[tuple[Labels, float]]:
        """What an expression is now, by labels."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=expression)["result"]]

    def alerts(self, state: str = "firing") -> list[Labels]:
        """Labels of those that fire, or are pending."""
        return [one["labels"] for one in self.ask("alerts")["alerts"] if one["state"] == state]

    def unreached(self) -> list[Labels]:
        """Who does not answer Prometheus."""
        return [one["labels"] for one in self.ask("targets", state="active")["activeTargets"] if one["health"] != "up"]

    def _is_up(self) -> bool:
        try:
            return bool(self.ask("targets", state="active"))
        except OSError:
            return False

    def _run(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def _listen(self, name: str) -> str:
        return f"--web.listen-address=127.0.0.1:{self._ports[name]}"

    def _values(self, services: Sequence[Service], certificates: Sequence[Certificate]) -> dict[str, object]:
        address = {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        return {
            "monitoring_interval": f"{self._every}s",
            "monitoring_rules_file": str(self.folder / "rules.yml"),
            **{f"monitoring_{name}": place for name, place in address.items()},
            "monitoring_keys_folder": str(self.folder / "keys"),
            "monitoring_nodes": [
                {"host": node.host, "address": f"127.0.0.1:{node.port}", "backup": node.backup} for node in self._nodes
            ],
            "monitoring_certificates": [
                {"address": f"127.0.0.1:{one.port}", "host": one.host} for one in certificates
            ],
            "monitoring_services": [
                {"job": one.job, "scheme": "http", "name": one.name, "host": one.host,
                 "address": f"127.0.0.1:{one.port}"} for one in services
            ],
            "monitoring_template_file": str(self.folder / "operator.tmpl"),
            "monitoring_runbooks_url": RUNBOOKS,
            "monitoring_group_wait": "1s",
            "monitoring_group_interval": "1s",
            "monitoring_mail_to": "",
            "monitoring_smtp_tls": False,
            "monitoring_smtp_username": "",
            "monitoring_telegram_chat": 0,
        }  # fmt: skip


def with_short_waits(rules: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The rules, each `for` four seconds: a busy machine that misses one scrape is not down."""
    told: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yml").read_text()) if rules is None else dict(rules)
    for rule in (rule for group in told["groups"] for rule in group["rules"]):
        rule["for"] = "4s"
    return told


def _rendered(folder: Path, name: str, values: Mapping[str, object]) -> str:
    loader = jinja2.FileSystemLoader(folder)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True)  # noqa: S701
    return environment.get_template(f"{name}.j2").render({"ansible_managed": "by hand", **values})
