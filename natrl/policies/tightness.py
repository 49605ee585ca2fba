"""How a policy sees its budget: numbers in [0, 1] without a unit, so that one policy serves every space and limit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn, Tensor

__all__ = ["Tightness", "freedom"]

KNOTS = 17


class Tightness(nn.Module):
    """A vector from numbers in [0, 1] of both resources: piecewise linear in each, 0 at the start of training."""

    knots: Tensor

    def __init__(self, numbers: int, width: int) -> None:
        """`numbers` of each resource."""
        super().__init__()
        self.map = nn.Linear(2 * numbers * KNOTS, width, bias=False)
        nn.init.zeros_(self.map.weight)
        self.register_buffer("knots", torch.linspace(0, 1, KNOTS), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(..., W) from (..., 2 · numbers)."""
        hats = (1 - (values.unsqueeze(-1) - self.knots).abs() * (KNOTS - 1)).clamp_min(0)
        vector: Tensor = self.map(hats.flatten(-2))
        return vector


def freedom(obs: Mapping[str, Tensor], primitives: Tensor) -> Tensor:
    """float32 (B, 2): 1 where the budget lets the architecture stay as it is, 0 where it allows the cheapest only.

    The cheapest is what each slot may become at least; connectivity is left out.
    """
    costs, budget = obs["costs"].double(), obs["budget"].double()
    allowed = torch.where(obs["action_mask"].bool().unsqueeze(-1), costs, torch.inf)
    least = allowed.amin(2).sum(1)
    held = (obs["ops"].long().unsqueeze(-1) == primitives).unsqueeze(-1)
    spent = torch.where(held, costs, 0.0).sum((1, 2))
    return ((budget - least) / (spent - least).clamp_min(1e-9)).clamp(0, 1).float()
