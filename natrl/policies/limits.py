"""What a network may cost: MAdds, parameters, and latency measured on a device; and scores under such limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import check_scores, Evaluator
from natrl.evaluation.wrapper import EvaluatorWrapper
from natrl.spaces import Space
from natrl.spaces.budget import Budget, limit_of

__all__ = ["LATENCIES", "BudgetedEvaluator", "Limits"]

THROUGHPUT_BATCH = 32  # images
LATENCIES = {"latency": 1, "batch_latency": THROUGHPUT_BATCH}  # images of a pass
KINDS = ("madds", "params", *LATENCIES)


@dataclass(frozen=True)
class Limits:
    """The limits as given: numbers, or shares of what the original costs such as "80%" (of what is counted also 0.8).

    Latencies are in seconds, for one image and for a batch of THROUGHPUT_BATCH.
    """

    madds: float | str | None = None
    params: float | str | None = None
    latency: float | str | None = None
    batch_latency: float | str | None = None

    def __post_init__(self) -> None:
        """ValueError on what is neither a number nor a share."""
        for kind in KINDS:
            limit_of(kind, getattr(self, kind), 1.0, counted=kind not in LATENCIES)

    @classmethod
    def of(cls, given: Mapping[str, float | str] | Limits) -> Limits:
        """From {"madds": "80%", "latency": 0.005}. ValueError on an unknown kind, or where there is no limit at all."""
        if isinstance(given, Limits):
            return given
        if not isinstance(given, Mapping):
            raise ValueError(f'a budget is such as {{"madds": "80%"}}, got {type(given).__name__}')
        unknown = sorted(set(map(str, given)) - set(KINDS))
        if unknown:
            raise ValueError(f"unknown budget {', '.join(map(repr, unknown))}; known: {', '.join(KINDS)}")
        limits = cls(**given)
        if limits == cls():
            raise ValueError(f'a budget limits at least one of {", ".join(KINDS)}, such as {{"madds": "80%"}}')
        return limits

    def budget(self, space: Space, original: Architecture) -> Budget:
        """The limits on MAdds and parameters in numbers."""
        return Budget.of(space.cost(original), self.madds, self.params)

    @property
    def timed(self) -> tuple[str, ...]:
        """The kinds of latency that are limited."""
        return tuple(kind for kind in LATENCIES if getattr(self, kind) is not None)

    def seconds(self, kind: str, original: float) -> float:
        """A limit on latency, where the original takes so many seconds; infinite if there is none."""
        limit = limit_of(kind, getattr(self, kind), original, counted=False)
        return math.inf if limit is None else limit


class BudgetedEvaluator(EvaluatorWrapper):
    """Scores that fall where a budget is exceeded: accuracy × limit / cost, for each limit that is.

    (MnasNet's reward with the exponents α = 0 and β = −1: Tan et al. 2019, arXiv 1807.11626, equation 2. A
    cross-entropy is divided by the same factor.) What is within the budget scores as the wrapped evaluator says.
    """

    def __init__(self, inner: Evaluator, space: Space, budget: Budget) -> None:
        super().__init__(inner)
        self.space = space
        self.budget = budget

    def __deepcopy__(self, memo: Any) -> BudgetedEvaluator:
        return self  # RLlib copies its configuration at every iteration

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,)."""
        shares = np.array([self.share(a) for a in architectures])
        scores = self.inner.evaluate(architectures)
        scores = scores * shares if self.metric == "accuracy" else scores / shares
        return check_scores(scores, architectures, self.metric)

    def share(self, architecture: Architecture) -> float:
        """In (0, 1]: the product of limit ÷ cost over the limits that are exceeded."""
        cost = self.space.cost(architecture)
        pairs = ((self.budget.madds, cost.madds), (self.budget.params, cost.params))
        return float(np.prod([min(1.0, max(limit, 1.0) / max(c, 1)) for limit, c in pairs if limit is not None]))

    def settings(self) -> dict[str, Any] | None:
        inner = self.inner.settings()
        if inner is None:
            return None
        limits = {"max_madds": self.budget.madds, "max_params": self.budget.params}
        return {**inner, **limits, "space": self.space.identity()}
