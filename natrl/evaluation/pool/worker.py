"""The Ray actor of the pool: one evaluator, built where it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import ray

from natrl.core.architecture import Architecture
from natrl.evaluation.base import check_evaluator, check_scores, Evaluator, Metric
from natrl.evaluation.ledger.file import LedgerError

__all__ = ["Answer", "Standing", "Worker", "to_arrays", "to_tensors"]


class Standing(NamedTuple):
    """What an evaluator says of itself once it is built."""

    metric: Metric
    version: int
    settings: dict[str, Any] | None  # Evaluator.settings
    rotates: bool  # Evaluator.rotates


class Answer(NamedTuple):
    """What came of one call: scores float64 (N,), or None and the reason."""

    scores: np.ndarray | None
    reason: str


class Worker:
    """Answers one call after the other. What an evaluation raises is returned: it must not look like a death."""

    def __init__(self, build: Callable[[], Evaluator]) -> None:
        self._build = build
        self._evaluator: Evaluator | None = None

    @property
    def evaluator(self) -> Evaluator:
        assert self._evaluator is not None, "ready() is the first call"
        return self._evaluator

    def ready(self) -> Standing:
        """Builds the evaluator (not in the constructor: Ray would hide what it raises)."""
        if not ray.get_gpu_ids():  # Ray may leave GPUs visible that it gave to others
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        evaluator = self._evaluator = self._evaluator or check_evaluator(self._build())
        return Standing(evaluator.metric, evaluator.version, evaluator.settings(), evaluator.rotates)

    def evaluate(
        self, architectures: Sequence[Architecture], version: int, weights: dict[str, np.ndarray] | None = None
    ) -> Answer:
        """Scores at that version of the weights, which are given where this actor does not hold them yet."""
        try:
            if weights is not None:
                self.evaluator.set_weights(weights, version)
            self._follow(version)
            scores = check_scores(self.evaluator.evaluate(architectures), architectures, self.evaluator.metric)
        except LedgerError:
            raise  # not the architecture's fault, and the next one would fare no better
        except Exception as error:
            return Answer(None, f"{type(error).__name__}: {error}")
        return Answer(scores, "")

    def _follow(self, version: int) -> None:
        """To the images of a later version, where an evaluator has other ones at each."""
        while self.evaluator.rotates and self.evaluator.version < version:
            self.evaluator.before_update()

    def train(
        self, steps: int, state: Any, version: int
    ) -> tuple[tuple[dict[str, float], int], dict[str, np.ndarray], Any]:
        """Trains the shared weights at a version, from `state` if given: (metrics, version), weights, state."""
        if state is not None:
            self.evaluator.load_state_dict(to_tensors(state))
        self._follow(version)
        metrics = self.evaluator.train_weights(steps)
        return (metrics, self.evaluator.version), self.evaluator.get_weights(), to_arrays(self.evaluator.state_dict())

    def load(self, state: Any) -> tuple[tuple[dict[str, float], int], dict[str, np.ndarray]]:
        """Goes on from a state: (no metrics, version), weights."""
        self.evaluator.load_state_dict(to_tensors(state))
        return ({}, self.evaluator.version), self.evaluator.get_weights()

    def state(self) -> Any:
        """The evaluator's state, tensors as arrays."""
        return to_arrays(self.evaluator.state_dict())


def to_arrays(state: Any) -> Any:
    """The same tree with numpy arrays in place of tensors: they pass through Ray's object store without a copy."""
    if "torch" not in sys.modules:  # then it holds none
        return state
    from torch import Tensor
    from torch.utils._pytree import tree_map

    return tree_map(lambda leaf: leaf.cpu().numpy() if isinstance(leaf, Tensor) else leaf, state)


def to_tensors(state: Any) -> Any:
    """Undoes `to_arrays`; the tensors are copies, on the CPU."""
    if not state:
        return state
    import torch
    from torch.utils._pytree import tree_map

    return tree_map(lambda leaf: torch.tensor(leaf) if isinstance(leaf, np.ndarray) else leaf, state)
