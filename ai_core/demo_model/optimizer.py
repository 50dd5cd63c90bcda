"""Muon for the matrices (Keller Jordan, 2024: momentum made orthogonal by Newton-Schulz), AdamW for the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from ai_core.demo_model.network import Network

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
MOMENTUM = 0.95


class Optimizer:
    def __init__(self, network: Network, matrix_rate: float, other_rate: float) -> None:
        named = list(network.named_parameters())
        self.matrices = [p for name, p in named if p.dim() == 2 and "embedding" not in name]
        others = [p for name, p in named if p.dim() != 2 or "embedding" in name]
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        self.adam = torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.matrix_rate, self.other_rate = matrix_rate, other_rate

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def step(self, scale: float) -> None:
        """One update at `scale` (0..1) of the rates, then clear the gradients."""
        for group in self.adam.param_groups:
            group["lr"] = self.other_rate * scale
        self.adam.step()
        for parameter, momentum in zip(self.matrices, self.momenta, strict=True):
            if parameter.grad is None:
                continue
            momentum.lerp_(parameter.grad, 1 - MOMENTUM)
            update = orthogonal(parameter.grad.lerp(momentum, MOMENTUM))
            stretch = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
            parameter.add_(update, alpha=-self.matrix_rate * scale * stretch)
            parameter.grad = None
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict[str, object]:
        return {"adam": self.adam.state_dict(), "momenta": self.momenta}

    def restore(self, state: dict[str, object]) -> None:
        self.adam.load_state_dict(state["adam"])
        self.momenta = list(state["momenta"])  # type: ignore[call-overload]


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """The nearest orthogonal matrix, roughly: bfloat16 is enough."""
    a, b, c = NEWTON_SCHULZ
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x if matrix.shape[0] <= matrix.shape[1] else x.T).float()
