"""Names of models as /v1 shows them: each that answers stands there twice, the second one grounds its answers."""

from __future__ import annotations

GROUNDED = ":grounded"
"""For clients that can choose a model but not send a parameter of ours."""


def with_grounded(names: list[str]) -> list[str]:
    return [shown for name in names for shown in (name, name + GROUNDED)]


def without_grounded(name: str) -> tuple[str, bool]:
    """The model's own name, and whether the one given asks for grounding."""
    return name.removesuffix(GROUNDED), name.endswith(GROUNDED)
