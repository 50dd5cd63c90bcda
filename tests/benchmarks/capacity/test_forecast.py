"""Rates survive their file, scale as stated, and the page takes the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.capacity.__main__ import main
from tests.benchmarks.capacity.forecast import GPU, Hardware, Model, carried
from tests.benchmarks.capacity.page import put
from tests.benchmarks.capacity.rates import Rates, rates_of

RATES = Rates(600.0, {1: 50.0, 4: 100.0, 8: 160.0}, overhead=0.01, model_bytes=300_000_000, cores=2, about="here")
SMALL = Model("0.4 B", 0.4, 300e6)
SAME = Hardware("the same", 1.0, 1.0)


def test_rates_come_back_from_their_file(tmp_path: Path) -> None:
    RATES.write(tmp_path / "rates.json")
    assert Rates.read(tmp_path / "rates.json") == RATES
    (tmp_path / "other.json").write_text('{"prefill": 1}')
    with pytest.raises(ValueError, match=r"other\.json: no rates"):
        Rates.read(tmp_path / "other.json")


def test_a_step_is_what_was_measured_and_goes_on_evenly() -> None:
    assert RATES.step(1) == pytest.approx(1 / 50)
    assert RATES.step(8) == pytest.approx(8 / 160)
    assert RATES.step(6) == pytest.approx((4 / 100 + 8 / 160) / 2)
    assert RATES.step(12) == pytest.approx(8 / 160 + (8 / 160 - 4 / 100))
    fixed, each = RATES.line()
    assert fixed + 8 * each == pytest.approx(RATES.step(8), rel=0.1)


@pytest.mark.parametrize("text", ["", "1", "1:0", "0:5", "1:fast"])
def test_rates_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - argparse says which option it was
        rates_of(text)


def test_twice_the_machine_carries_more_and_a_larger_model_less() -> None:
    here = carried(SAME, SMALL, RATES, 0.4)
    double = carried(Hardware("double", 2.0, 2.0), SMALL, RATES, 0.4)
    larger = carried(SAME, Model("0.8 B", 0.8, 600e6), RATES, 0.4)
    assert double.most > 1.5 * here.most > 0
    assert larger.most < here.most
    assert here.prefill == pytest.approx(RATES.prefill)


def test_a_gpu_is_computed_from_its_own_figures() -> None:
    row = carried(GPU, Model("7 B", 7.0, 4e9), RATES, 0.4)
    assert row.prefill == pytest.approx(60e12 / 14e9)
    assert row.decode[0] == pytest.approx(1 / (4e9 / 150e9 + 14e9 / 60e12))


def test_tables_go_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- rates -->\nold\n<!-- /rates -->\nb\n<!-- forecast -->\n<!-- /forecast -->\n")
    options = ["--parameters", "0.4", "--prefill", "6000", "--decode", "1:500", "--model-bytes", "300000000"]
    assert main([*options, "--write", str(page)]) == 0
    text = page.read_text()
    assert "old" not in text
    assert "given on the command line: 6,000 prompt tokens a second" in text
    assert "| 4 cores |" in text
    with pytest.raises(ValueError, match="check"):
        put(page, {"check": "table"})
