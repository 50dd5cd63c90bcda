"""What a machine carries: `python -m tests.benchmarks.capacity --model FILE.gguf --parameters BILLIONS`.

Measures how fast this machine computes the model through the AI core, plays three loads against it and against the
simulation (queueing.py), prints both, then scales the rates to other machines and models (forecast.py) and simulates
those. `--rates FILE`, or `--prefill` and `--decode`, bring rates that were measured before: then nothing is measured.
`--write docs/capacity.md` puts the tables there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.capacity import check, forecast
from tests.benchmarks.capacity.measured import TooSlow, core
from tests.benchmarks.capacity.page import put
from tests.benchmarks.capacity.rates import Rates, rates_of


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 when the machine is too slow or too busy for the model."""
    options = _options(arguments)
    tables: dict[str, str] = {}
    rates = _given(options)
    if rates is None:
        try:
            with core(options.model) as running:
                rates, levels = check.check(running, options.seconds)
        except TooSlow as error:
            print(f"capacity: {error}", file=sys.stderr)
            return 2
        tables["check"] = check.table(levels)
        if options.save:
            rates.write(options.save)
    tables["rates"] = _rates(rates)
    tables["forecast"] = forecast.table([
        forecast.carried(hardware, model, rates, options.parameters)
        for hardware in (*forecast.VPS, forecast.GPU)
        for model in forecast.MODELS
    ])  # fmt: skip
    for name, table in tables.items():
        print(f"\n{name}\n\n{table}")
    if options.write:
        put(options.write, tables)
    return 0


def _given(options: argparse.Namespace) -> Rates | None:
    """Rates that need not be measured."""
    if options.rates:
        return Rates.read(options.rates)
    if options.decode:
        size = options.model_bytes or options.model.stat().st_size
        return Rates(options.prefill, options.decode, model_bytes=size, about="given on the command line")
    return None


def _rates(rates: Rates) -> str:
    decode = ", ".join(f"{size}: {rate:.0f}" for size, rate in sorted(rates.decode.items()))
    return (
        f"{rates.about}: {rates.prefill:,.0f} prompt tokens a second; output tokens a second in all by running answers"
        f" {decode}; {1000 * rates.overhead:.0f} ms a request outside of it."
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.capacity", description="what a machine carries")
    add = parser.add_argument
    add("--model", type=Path, metavar="FILE.gguf", help="whose rates are measured; see tests.benchmarks.random_model")
    add("--parameters", type=float, required=True, metavar="BILLIONS", help="of that model")
    add("--seconds", type=float, default=90.0, help="of each of the three loads (default: %(default)s)")
    add("--save", type=Path, metavar="OUT", help="write the rates there")
    add("--rates", type=Path, metavar="FILE", help="rates that --save wrote")
    add("--prefill", type=float, metavar="TOKENS", help="prompt tokens a second")
    add("--decode", type=rates_of, metavar="1:87,4:109,...", help="output tokens a second by running answers")
    add("--model-bytes", type=int, help="size of the model whose rates are given")
    add("--write", type=Path, metavar="PAGE.md", help="put the tables there, between its marks")
    options = parser.parse_args(arguments)
    if not options.rates and (options.model is None) == (options.model_bytes is None):
        parser.error("give --model to measure it, or --rates, or --prefill, --decode and --model-bytes")
    if (options.prefill is None) != (options.decode is None):
        parser.error("--prefill and --decode belong together")
    for path in (options.model, options.rates, options.write):
        if path is not None and not path.is_file():
            parser.error(f"{path}: no such file")
    return options


if __name__ == "__main__":
    sys.exit(main())
