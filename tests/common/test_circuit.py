"""What does not answer is left alone for a moment, and one call finds out whether it is back."""

from __future__ import annotations

from common.circuit import Circuit


def test_it_opens_after_failures_in_a_row_and_lets_one_try_at_a_time() -> None:
    now = [0.0]
    circuit = Circuit(seconds=5, failures=2, clock=lambda: now[0])
    circuit.failed()
    circuit.answered()
    circuit.failed()
    assert circuit.admit() == 0, "one failure may be bad luck"
    circuit.failed()
    assert circuit.admit() == 5
    now[0] = 5.0
    assert circuit.admit() == 0
    assert circuit.admit() == 5, "somebody is finding out"
    circuit.answered()
    assert circuit.admit() == 0
