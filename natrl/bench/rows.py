"""What the benchmark reports: rows of figures, and points of curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from natrl.core.architecture import Architecture
from natrl.spaces import Space

__all__ = ["Point", "Row", "cost_ratios"]


@dataclass(frozen=True)
class Point:
    """Capture of the answer after so many queries."""

    method: str
    rule: str
    reward: str
    dataset: str
    seed: int
    queries: int
    capture: float


@dataclass(frozen=True)
class Row:
    """One method on one data set with one seed. Ratios are means over the held-out architectures."""

    method: str
    rule: str
    reward: str  # where the signal came from: another data set under --transfer
    dataset: str  # where the figures come from
    seed: int
    held_out: int  # number of initial architectures
    queries: int  # different architectures evaluated before the answer, initial ones included
    queries_best: int  # … before the best-of-n answer: those, and the candidates of all held-out architectures
    capture_argmax: float  # of the answer (a policy's argmax); NaN where nothing can be gained
    capture_best: float  # of the best of n candidates by the signal, the original among them
    worse_share: float  # of the answer: share that lost more than 0.2 points
    worse_share_best: float  # … of the best of n
    madds_ratio: float  # MAdds of the answer ÷ those of the original
    params_ratio: float
    seconds: float  # wall time of the method: training and transforming

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document: NaN becomes null."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def cost_ratios(space: Space, before: Sequence[Architecture], after: Sequence[Architecture]) -> tuple[float, float]:
    """Mean ratios (MAdds, parameters) of `after` to `before`. RuntimeError if anything became more expensive."""
    costs = [(space.cost(b), space.cost(a)) for b, a in zip(before, after, strict=True)]
    for architecture, (old, new) in zip(before, costs, strict=True):
        if new.madds > old.madds or new.params > old.params:
            raise RuntimeError(f"the promise is broken: what became of {architecture.key} costs more")
    madds, params = zip(*((new.madds / old.madds, new.params / old.params) for old, new in costs), strict=True)
    return float(np.mean(madds)), float(np.mean(params))
