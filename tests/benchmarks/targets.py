"""The targets that the whole is measured by, where each figure comes from, and whether it is held."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Parts = Mapping[str, Mapping[str, Any]]
"""Figures by part: what each bench writes as JSON."""
SIGNS = {"<": operator.lt, ">": operator.gt, ">=": operator.ge, "=": operator.eq}
DAY = 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Target:
    """`value` reads the figure; it raises KeyError where it was not measured. A figure without a `sign` has no target:
    it stands beside one that has."""

    text: str
    part: str
    value: Callable[[Mapping[str, Any]], float]
    sign: str
    wanted: float
    unit: str

    def holds(self, measured: float) -> bool | None:
        """None where nothing is wanted."""
        return bool(SIGNS[self.sign](measured, self.wanted)) if self.sign else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row of the table; `measured` is None where nothing was measured, `held` also where nothing is `wanted`."""

    target: str
    wanted: str
    measured: float | None
    unit: str
    held: bool | None
    command: str


def _figure(scene: str, label: str, scale: float = 1.0) -> Callable[[Mapping[str, Any]], float]:
    return lambda figures: float(figures[scene][label]) * scale


def _sum(*places: tuple[str, str]) -> Callable[[Mapping[str, Any]], float]:
    return lambda figures: float(sum(figures[scene][label] for scene, label in places))


def _worst(*places: tuple[str, str]) -> Callable[[Mapping[str, Any]], float]:
    return lambda figures: float(max(figures[scene][label] for scene, label in places))


def _least(*places: tuple[str, str]) -> Callable[[Mapping[str, Any]], float]:
    return lambda figures: float(min(figures[scene][label] for scene, label in places))


def _faster_than(rival: str) -> Callable[[Mapping[str, Any]], float]:
    """The smaller one of the cold and the warm round."""
    return lambda figures: float(min(figures["about"]["ratios"]["shared_prefix"][rival].values()))


SECOND = 0.001  # of a millisecond's figure

TARGETS = (
    Target("answer from the cache, p95", "api", _figure("cached", "cached answer, p95 (ms)", SECOND), "<", 2, "s"),
    Target("first words of a streamed answer, p95", "api",
           _figure("steady", "first words, p95 (ms)", SECOND), "<", 2, "s"),
    Target("requests in the engine at the same time", "api",
           _figure("concurrent", "requests in the engine at the same time, most"), ">=", 50, ""),
    Target("first words with so many at the same time, p95", "api",
           _figure("concurrent", "first words, p95 (ms)", SECOND), "", 0, "s"),
    Target("API requests a minute", "api", _figure("steady", "requests a minute"), ">=", 100, ""),
    Target("errors, of all requests", "api",
           _worst(("concurrent", "error rate (%)"), ("steady", "error rate (%)")), "<", 1, "%"),
    Target("answered over restarts of the service and of Redis", "api",
           _least(("restart", "answered (%)"), ("redis restart", "answered (%)")), ">=", 99.9, "%"),
    Target("switch of the model, with the first answer of the new one", "api",
           _figure("switch", "slowest switch with its first answer (s)"), "<", 30, "s"),
    Target("Telegram: whole reply to one person, slowest", "telegram",
           _figure("alone", "whole answer, slowest (s)"), "<", 3, "s"),
    Target("Telegram: people who ask within 10 s and are answered", "telegram",
           _figure("crowd", "answered"), ">=", 1_000, ""),
    Target("Telegram: their first reply, 99 %", "telegram", _figure("crowd", "first reply, 99 % (s)"), "", 0, "s"),
    Target("Telegram: questions lost or answered twice, also under kill -9", "telegram",
           _sum(*((scene, label) for scene in ("order", "crowd", "kill") for label in ("lost", "answered twice"))),
           "=", 0, ""),
    Target("mail: wait of an answer, 95 %", "mail",
           _figure("load", "wait of an answer, 95 % (s)"), "<", 300, "s"),
    Target("mails a day, at the rate that was measured", "mail",
           _figure("load", "answers a minute", DAY), ">=", 1_000, ""),
    Target("mail: replies lost or sent twice, also under kill -9", "mail",
           _sum(*((scene, label) for scene in ("load", "kill") for label in ("replies lost", "replies sent twice"))),
           "=", 0, ""),
    Target("output tokens a second, ours / llama-server", "engine", _faster_than("llama_server"), ">", 1, "x"),
    Target("output tokens a second, ours / a locked Llama", "engine", _faster_than("locked_llama"), ">", 1, "x"),
)  # fmt: skip


def judge(parts: Parts, commands: Mapping[str, str]) -> list[Verdict]:
    """Every target, in order; `commands` are the parts'."""
    return [_judge(target, parts.get(target.part, {}), commands.get(target.part, "")) for target in TARGETS]


def _judge(target: Target, figures: Mapping[str, Any], command: str) -> Verdict:
    wanted = f"{target.sign} {target.wanted:,g} {target.unit}".strip() if target.sign else ""
    try:
        measured = target.value(figures)
    except KeyError:
        return Verdict(target.text, wanted, None, target.unit, None, command)
    return Verdict(target.text, wanted, measured, target.unit, target.holds(measured), command)
