"""Train the demonstration model: `python -m ai_core.demo_model.train --help`.

Three stages: `warm-up` (the law's language, copying quotes), `main` (grounded questions and answers), `polish` (more
small talk). Each one keeps its checkpoint in the run folder and goes on from there when started again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ai_core.demo_model import corpus, tokenizer
from ai_core.demo_model.network import Network, Shape, plant
from ai_core.demo_model.optimizer import Optimizer
from ai_core.demo_model.warm_up import WarmUp

HERE = Path(__file__).parent
SEED = 2026
MATRIX_RATE = 0.012
OTHER_RATE = 1e-3
SAVE_EVERY_S = 120.0
LOG_EVERY = 20

Loss = Callable[[], Tensor]


def main() -> None:
    options = parse()
    torch.manual_seed(SEED)
    torch.set_num_threads(options.threads)
    options.run.mkdir(parents=True, exist_ok=True)
    articles = corpus.read(options.corpus)
    vocabulary = ready_tokenizer(options.run, articles)
    if options.stage == "warm-up":
        warm_up(options, articles, vocabulary)
    else:
        from ai_core.demo_model.main_stage import MAIN, POLISH, main_stage

        main_stage(options, articles, vocabulary, MAIN if options.stage == "main" else POLISH)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("warm-up", "main", "polish"))
    parser.add_argument("--corpus", type=Path, required=True, help="@socialgouv/legi-data: its .tgz or JSON file")
    parser.add_argument("--run", type=Path, required=True, help="folder for tokenizer, checkpoints and logs")
    parser.add_argument("--minutes", type=float, required=True, help="length of the stage; the rate falls towards it")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def ready_tokenizer(run: Path, articles: list[corpus.LawArticle]) -> Any:
    path = run / "tokenizer.json"
    if not path.exists():
        everyday = (HERE / "everyday.txt").read_text(encoding="utf-8").splitlines()
        texts = [f"{article.title}\n{article.text}" for article in articles]
        tokenizer.train(texts + everyday * 40).save(str(path))
    return tokenizer.load(path)


def warm_up(options: argparse.Namespace, articles: list[corpus.LawArticle], vocabulary: Any) -> None:
    network = Network(Shape())
    tokens = [vocabulary.id_to_token(at) for at in range(network.shape.vocabulary)]
    readable = [vocabulary.decode([at]) if at > 2 else token for at, token in enumerate(tokens)]
    plant(network, readable, torch.Generator().manual_seed(SEED))
    source = WarmUp(articles, vocabulary, length=384)
    chance = random.Random(time.time())

    def loss() -> Tensor:
        batch = torch.tensor(source.batch(10, chance))
        with torch.autocast("cpu", torch.bfloat16):
            hidden = network(batch[:, :-1])
            scores = network.logits(hidden)
        return functional.cross_entropy(scores.float().flatten(0, 1), batch[:, 1:].flatten(), ignore_index=0)

    run_stage(network, options.run / "warm-up.pt", options.minutes, loss)


def run_stage(
    network: Network,
    checkpoint: Path,
    minutes: float,
    loss: Loss,
    at_save: Callable[[float], None] | None = None,
    rate: float = 1.0,
) -> None:
    """Minimise `loss` for `minutes` in all, those of earlier, broken-off runs of this stage included."""
    optimizer = Optimizer(network, MATRIX_RATE * rate, OTHER_RATE * rate)
    spent, step = resume(network, optimizer, checkpoint)
    begun, saved, mean = time.monotonic() - spent, time.monotonic(), None
    while (spent := time.monotonic() - begun) < minutes * 60:
        value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(optimizer.adam.param_groups[0]["params"], 1.0)
        optimizer.step(rate_scale(step, spent / (minutes * 60)))
        mean = value.item() if mean is None else 0.95 * mean + 0.05 * value.item()
        step += 1
        if step % LOG_EVERY == 0:
            print(f"step {step}  {spent:.0f} s  loss {mean:.4f}", flush=True)
        if time.monotonic() - saved > SAVE_EVERY_S:
            save(network, optimizer, checkpoint, spent, step)
            if at_save:
                at_save(spent)
            saved = time.monotonic()
    save(network, optimizer, checkpoint, spent, step)
    if at_save:
        at_save(spent)


def rate_scale(step: int, progress: float) -> float:
    """A short rise, then straight down to 2 %."""
    return min(1.0, (step + 1) / 50) * max(0.02, 0.75 * (1 - progress))


def save(network: Network, optimizer: Optimizer, path: Path, spent: float, step: int) -> None:
    state = {"network": network.state_dict(), "optimizer": optimizer.state(), "spent": spent, "step": step}
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def resume(network: Network, optimizer: Optimizer, path: Path) -> tuple[float, int]:
    if not path.exists():
        return 0.0, 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.restore(state["optimizer"])
    return state["spent"], state["step"]


if __name__ == "__main__":
    main()
