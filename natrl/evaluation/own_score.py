"""Scores by a function of the user's, of networks that inherit the weights of a trained one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn, Tensor

from natrl.checks.errors import summary
from natrl.core.architecture import Architecture
from natrl.digests import digest
from natrl.evaluation.base import score_each
from natrl.evaluation.inherited import Inheriting
from natrl.evaluation.user_code import FunctionError
from natrl.spaces import Space
from natrl.training.device import precision
from natrl.training.modes import in_mode

__all__ = ["ORIGINAL", "Scale", "Score", "ScoreError", "ScoreEvaluator", "scale_of", "scored"]

Score = Callable[[nn.Module], float]

VERSION = 1  # of what a score means, part of its key in the ledger
ORIGINAL = 0.8  # what the original scores, so that there is room above it
PROBES = 5  # random architectures that say how low scores go


class ScoreError(FunctionError):
    """A score gave no number, or raised: then `__cause__` is its own error."""


class Scale(NamedTuple):
    """Scores in the user's unit; higher is better."""

    low: float  # of a bad architecture
    original: float

    def share(self, score: float) -> float:
        """In [0, 1]: 0 at `low` or below it, `ORIGINAL` where the original is."""
        return min(1.0, max(0.0, ORIGINAL * (score - self.low) / (self.original - self.low)))


@torch.no_grad()
def scored(score: Score, network: nn.Module) -> float:
    """What the function says of the network, which is in evaluation mode then. ScoreError in one line if no number."""
    with in_mode(network, training=False):
        try:
            found: Any = score(network)
        except Exception as error:  # whatever the user's code raises
            raise ScoreError(f"score(network) raised {summary(error)}", error) from error
    if isinstance(found, Tensor | np.ndarray) and found.ndim == 0:
        found = found.item()
    if isinstance(found, bool) or not isinstance(found, int | float | np.number) or not math.isfinite(found):
        got = f"{found!r:.60}" if isinstance(found, int | float | np.number) else type(found).__name__
        raise ScoreError(f"score(network) must return a finite number, the higher the better; it returned {got}")
    return float(found)


class ScoreEvaluator(Inheriting):
    """The user's score of a network whose weights were inherited, as a share: `Scale` says what 0 and 1 are.

    No network is trained before it is scored. The function is called with a network in evaluation mode, on the
    device, without gradients; where it fails, that architecture's evaluation has failed.
    """

    steps = 0

    def __init__(
        self,
        space: Space,
        score: Score,
        inputs: tuple[Tensor, ...],
        scale: Scale,
        *,
        key: str | None = None,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        """`key`: what the function is known by; None: by its code and all that it reads."""
        super().__init__(space, inputs, seed=seed, device=device)
        self.score, self.scale, self.key = score, scale, key

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,) in [0, 1]. FailedEvaluations names those that the function cannot score."""
        return score_each(architectures, lambda a: self.scale.share(scored(self.score, self.inherit(a))), ScoreError)

    def settings(self) -> dict[str, Any]:
        """The function is known by its code and all that it reads, or by its key; inputs by their numbers."""
        return {
            "kind": "score",
            "version": VERSION,
            **self.space.identity(),
            "score": self.key or digest(self.score),
            "inputs": digest(self.inputs),
            "scale": list(self.scale),
            "seed": self.seed,
            **precision(self.device, False),
        }


def scale_of(evaluator: ScoreEvaluator, original: float) -> Scale:
    """From random architectures: the lowest score among them, and at least a tenth below the original's.

    (Where they score nearly alike, a narrower scale would make much of chance.)
    """
    rng, low = np.random.default_rng(evaluator.seed), original - max(0.1 * abs(original), 1e-6)
    for _ in range(PROBES):
        try:
            low = min(low, scored(evaluator.score, evaluator.inherit(evaluator.space.sample(rng))))
        except ScoreError:
            continue
    return Scale(low, original)
