"""The last choice: training decides, on validation data, among a few candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from natrl.core.architecture import Architecture
from natrl.core.operations import Cost
from natrl.report.scores import CandidateScores
from natrl.spaces import Skeleton
from natrl.spaces.networks import Networks

__all__ = ["Finalist", "candidate_row", "candidate_scores", "choose"]


@dataclass(frozen=True)
class Finalist:
    """A candidate, its score by the proxy (None without one), and its validation accuracies after training."""

    architecture: Architecture
    proxy: float | None
    validation: tuple[float, ...] = ()  # one a seed, in [0, 1]
    network: nn.Module | None = None  # on the CPU, where its weights are kept: inherited ones, then trained ones


def choose(finalists: Sequence[Finalist], cost: Callable[[Architecture], Cost]) -> Finalist:
    """The cheapest finalist (by MAdds) whose mean validation accuracy is within one standard error of the best.

    The one-standard-error rule (Breiman et al., Classification and Regression Trees, 1984, section 3.4.3): differences
    that another seed could undo do not pay for operations. The error is of the difference of two means, from the
    deviation over seeds pooled over all finalists; with one seed the best wins, of equal ones the cheapest. ValueError
    if there are none.
    """
    if not finalists:
        raise ValueError("there is no finalist to choose from")
    values = np.array([f.validation for f in finalists])  # (N, S)
    means, seeds = values.mean(1), values.shape[1]
    error = float(np.sqrt(2 * values.var(1, ddof=1).mean() / seeds)) if seeds > 1 else 0.0
    close = [f for f, mean in zip(finalists, means, strict=True) if mean >= means.max() - error]
    return min(close, key=lambda f: (cost(f.architecture).madds, -np.mean(f.validation)))


def candidate_scores(trained: Mapping[str, Sequence[Finalist]], skeleton: Skeleton, seeds: int) -> CandidateScores:
    """What a choice was made by, for the report: by name the finalists, the original first, each trained so often."""
    rows = [
        candidate_row(
            name, "policy" if i else "original", max(0, i - 1), f.architecture, skeleton, float(np.mean(f.validation))
        )
        for name, finalists in trained.items()
        for i, f in enumerate(finalists)
    ]
    how = f"training from scratch, mean of {seeds} seeds"
    return CandidateScores(how, "accuracy", skeleton, pd.DataFrame(rows))


def candidate_row(
    name: str, method: str, place: int, architecture: Architecture, networks: Networks, score: float
) -> dict[str, Any]:
    """A row of `CandidateScores`, with what the network costs."""
    cost = networks.cost(architecture)
    told = {"name": name, "method": method, "place": place, "architecture": architecture.key}
    return told | {"params": cost.params, "madds": cost.madds, "score": score}
