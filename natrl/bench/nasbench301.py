"""NAS-Bench-301 as a truth: what its published surrogate predicts (natrl.evaluation.nasbench301)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from natrl.bench.climbing import climb
from natrl.bench.splits import Split
from natrl.bench.trained import Judge, Truth
from natrl.core.architecture import Architecture
from natrl.core.transitions import CostMode, Rule
from natrl.evaluation.base import Evaluator
from natrl.evaluation.nasbench301 import PredictedEvaluator, SurrogateFile
from natrl.spaces import Batch, Space
from natrl.spaces import space as find_space

__all__ = ["PredictedTruth"]

TRAINING = 4096  # random architectures to learn from
HELD_OUT = 40


class _Reporter(Judge):
    """By the file's accuracies without noise; the best is what steepest ascent on them finds, so capture may pass 1."""

    def __init__(self, file: SurrogateFile, space: Space) -> None:
        self._file, self._space = file, space
        self._best: dict[tuple[Any, ...], np.ndarray] = {}

    def accuracies(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return self._file.accuracies(Batch.of(self._space, architectures))

    def best(self, architectures: Sequence[Architecture], rule: Rule, cost: CostMode) -> np.ndarray:
        asked = (tuple(architectures), rule, cost)
        if asked not in self._best:
            found = climb(Batch.of(self._space, architectures), self._file.accuracies, rule=rule, cost=cost)
            self._best[asked] = self._file.accuracies(found)
        return self._best[asked]


class PredictedTruth(Truth):
    """NAS-Bench-301 for the benchmark, with the methods of a `TrainedTable`; the report has no noise.

    `noise`: standard deviation in points of what a signal errs by, the same each time an architecture is asked for.
    ValueError if it is not a number from 0 to 10.
    """

    def __init__(self, file: SurrogateFile, *, noise: float = 0.0) -> None:
        if not 0 <= noise <= 10:
            raise ValueError(f"--noise is a standard deviation from 0 to 10 points, got {noise}")
        super().__init__("nasbench301 (surrogate)", f"nasbench301 (surrogate), noise {noise:g}", find_space("darts301"))
        self._file, self._noise = file, noise

    def initial(self, seed: int) -> Split:
        """4,096 random architectures to learn from, and 40 others."""
        rng = np.random.default_rng([301, seed])
        drawn = list(dict.fromkeys(self.space.sample(rng) for _ in range(TRAINING + HELD_OUT)))
        return Split(tuple(drawn[HELD_OUT:]), tuple(drawn[:HELD_OUT]))

    def evaluator(self, seed: int = 0) -> Evaluator:
        """The signal of a seed."""
        return PredictedEvaluator(self._file, self.space, self._noise, seed)

    def _judge(self) -> _Reporter:
        return _Reporter(self._file, self.space)
