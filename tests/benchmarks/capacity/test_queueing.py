"""The simulation against what queueing theory knows in closed form. Draws are seeded."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from ai_core.engine.request import Priority
from tests.benchmarks.capacity.queueing import Machine, Request, poisson, simulate

SECONDS = 6_000.0
SERVICE = 1.0  # tokens a second of one answer of one token: mean service time 1 s


def exponential(chance: random.Random) -> tuple[float, float]:
    return 0.0, chance.expovariate(1 / SERVICE)


def play(machine: Machine, a_second: float, sizes: Callable[[random.Random], tuple[float, float]]) -> list[Request]:
    requests = list(poisson(a_second, SECONDS, sizes, random.Random(7)))
    simulate(machine, requests)
    return requests


def mean_wait(requests: list[Request]) -> float:
    return float(np.mean([one.started - one.at for one in requests if not one.refused]))


def mean_stay(requests: list[Request]) -> float:
    return float(np.mean([one.ended - one.at for one in requests if not one.refused]))


def erlang_b(servers: int, load: float) -> float:
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def constant(_: int) -> float:
    """As many servers as slots: an answer is as quick as if it were alone."""
    return 1.0


def shared(answers: int) -> float:
    """One server, shared by all answers."""
    return float(answers)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_slot_is_m_m_1(load: float) -> None:
    requests = play(Machine(constant, 1.0, slots=1), load, exponential)
    assert mean_wait(requests) == pytest.approx(load / (1 - load), rel=0.12)


@pytest.mark.parametrize(("slots", "load"), [(2, 1.2), (4, 3.0), (8, 6.0)])
def test_several_slots_are_m_m_c(slots: int, load: float) -> None:
    requests = play(Machine(constant, 1.0, slots=slots), load, exponential)
    assert mean_wait(requests) == pytest.approx(erlang_c(slots, load) / (slots - load), rel=0.15)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_a_shared_server_is_m_m_1_with_processor_sharing(load: float) -> None:
    requests = play(Machine(shared, 1.0, slots=1_000), load, exponential)
    assert mean_stay(requests) == pytest.approx(1 / (1 - load), rel=0.12)


@pytest.mark.parametrize(("slots", "load"), [(3, 2.0), (8, 8.0)])
def test_without_a_queue_the_refused_share_is_erlang_b(slots: int, load: float) -> None:
    requests = play(Machine(constant, 1.0, slots=slots, waiting=0), load, exponential)
    assert np.mean([one.refused for one in requests]) == pytest.approx(erlang_b(slots, load), rel=0.06)


def test_a_short_queue_refuses_as_m_m_1_k_does() -> None:
    load, places = 0.9, 5  # one runs, four wait
    requests = play(Machine(constant, 1.0, slots=1, waiting=places - 1), load, exponential)
    refused = (1 - load) * load**places / (1 - load ** (places + 1))
    assert np.mean([one.refused for one in requests]) == pytest.approx(refused, rel=0.12)


def test_prompts_are_read_one_after_the_other_as_m_d_1() -> None:
    load = 0.7
    requests = play(Machine(constant, 1.0, slots=1_000), load, lambda _: (SERVICE, 0.0))
    stay = np.mean([one.first - one.at for one in requests])
    assert stay == pytest.approx(SERVICE + load * SERVICE / (2 * (1 - load)), rel=0.1)


def test_who_reads_slows_who_writes() -> None:
    machine = Machine(lambda _: 0.1, 100.0, slots=4)
    reading, writing = machine.speeds(2, reads=True)
    assert 0 < reading < 100
    assert writing < 1 / 0.1
    assert machine.speeds(2, reads=False) == (0.0, 10.0)
    assert machine.speeds(0, reads=True) == (100.0, 0.0)


def test_a_person_goes_before_mail_for_fifteen_seconds() -> None:
    early = Request(0.0, 0.0, 10.0)
    mail = Request(1.0, 0.0, 1.0, Priority.MAIL)
    person = Request(2.0, 0.0, 1.0)
    late = Request(9.0, 0.0, 1.0)
    requests = [early, mail, person, late, Request(9.5, 0.0, 30.0), Request(20.0, 0.0, 1.0)]
    simulate(Machine(constant, 1.0, slots=1), requests)
    order = sorted(requests, key=lambda one: one.started)
    assert [requests.index(one) for one in order] == [0, 2, 3, 4, 1, 5]


def test_an_answer_ends_at_the_timeout_also_while_it_waits() -> None:
    long, waits, late = Request(0.0, 0.0, 100.0), Request(1.0, 0.0, 1.5), Request(10.5, 0.0, 1.0)
    simulate(Machine(constant, 1.0, slots=1, timeout=10.0), [long, waits, late])
    assert [one.cut for one in (long, waits, late)] == [True, True, False]
    assert [one.ended for one in (long, waits, late)] == pytest.approx([10.0, 11.0, 12.0])
    assert waits.started == pytest.approx(10.0)
