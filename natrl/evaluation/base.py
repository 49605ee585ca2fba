"""What an evaluator is: architectures in, validation scores out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from natrl.checks.kinds import described
from natrl.core.architecture import Architecture

__all__ = [
    "LEAST_QUERIES",
    "EvaluationError",
    "Evaluator",
    "FailedEvaluations",
    "Metric",
    "as_scores",
    "check_evaluator",
    "check_queries",
    "check_scores",
    "itself",
    "score_each",
]

Metric = Literal["accuracy", "cross_entropy"]
LEAST_QUERIES = 10  # from fewer scores nothing can be learned


class EvaluationError(RuntimeError):
    """Architectures could not be evaluated; the message says why."""


class FailedEvaluations(EvaluationError):
    """Some of the architectures asked for could not be evaluated; the others were.

    `failures` maps the keys of those that failed to reasons, all of which the message lists. `scores`, float64 (N,),
    are those of the request, NaN where it failed: nothing that was paid for is lost.
    """

    def __init__(self, failures: Mapping[str, str], scores: np.ndarray) -> None:
        super().__init__(failures, scores)  # as arguments, so that it can be pickled
        self.failures = dict(failures)
        self.scores = scores

    def __str__(self) -> str:
        return "; ".join(f"{key} {reason}" for key, reason in self.failures.items())


class Evaluator(ABC):
    """Scores architectures on validation data; test data is out of its reach.

    `metric` says what a score is: "accuracy" in [0, 1] (the papers' reward), or "cross_entropy", minus the mean
    validation cross-entropy in nats, at most 0. `version` rises whenever the weights behind the scores change.
    Evaluation is idempotent: a retried call gives the same scores at the same version. `rotates` says that
    `before_update` raises the version, to score on other images.
    """

    metric: Metric = "accuracy"
    version: int = 0
    rotates: bool = False

    @abstractmethod
    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): the validation score of each architecture, higher is better."""

    def settings(self) -> dict[str, Any] | None:
        """All that a score depends on besides the architecture; None if it may change (shared weights).

        Scores under equal settings are the same ones: the ledger of paid evaluations keeps them under this. What JSON
        has no form for (a function, an array, a network) is known there by its digest (natrl.digests).
        """
        return None

    def statistics(self) -> dict[str, float]:
        """Figures for a run's metrics, often none. Rates are since the last call."""
        return {}

    def train_weights(self, steps: int) -> dict[str, float]:
        """Trains shared weights for so many steps and raises `version`. ValueError if there are none."""
        raise ValueError(f"{type(self).__name__} has no shared weights to train")

    def before_iteration(self) -> None:  # noqa: B027
        """What the evaluator does between two iterations of a policy; nothing, for most."""

    def proposed(self, architectures: Sequence[Architecture]) -> None:  # noqa: B027
        """What a policy has just made of architectures, as often as it made it; most have no use for it.

        `evaluate` says nothing of the kind: it is also asked for initial architectures, and not for what a cache knows.
        """

    def before_update(self) -> None:  # noqa: B027
        """What the evaluator does between two updates of a policy; nothing, for most."""

    def get_weights(self) -> dict[str, np.ndarray]:
        """The shared weights, for `set_weights` of another evaluator with the same settings; {} if there are none."""
        return {}

    def set_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        """Takes over shared weights (arrays that may be read-only) and their version."""
        raise ValueError(f"{type(self).__name__} has no shared weights to set")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold beyond the evaluator's settings (tensors, numbers, text); often nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Goes on from `state_dict`."""

    def close(self) -> None:  # noqa: B027  # most evaluators hold nothing
        """Gives back what the evaluator holds (actors, memory)."""


def check_evaluator(evaluator: Any) -> Evaluator:
    """The evaluator. ValueError if the object is none."""
    if isinstance(evaluator, Evaluator):
        return evaluator
    raise ValueError(
        f"an evaluator is an object of a subclass of natrl.evaluation.Evaluator, got {described(evaluator)}"
    )


def itself(evaluator: Evaluator) -> Evaluator:
    """What builds an evaluator that is there already, as `partial(itself, evaluator)`, which can be pickled."""
    return evaluator


def check_queries(queries: int) -> int:
    """The number, if a surrogate can learn from so many evaluations. ValueError if it is below 10."""
    if queries < LEAST_QUERIES:
        raise ValueError(f"a surrogate needs at least {LEAST_QUERIES} queries, got {queries}")
    return queries


def score_each(
    architectures: Sequence[Architecture], score: Callable[[Architecture], float], failing: type[Exception]
) -> np.ndarray:
    """float64 (N,), one after the other. FailedEvaluations names those for which such an exception is raised."""
    scores, failures = np.full(len(architectures), np.nan), {}
    for i, architecture in enumerate(architectures):
        try:
            scores[i] = score(architecture)
        except failing as error:
            failures[architecture.key] = str(error)
    if failures:
        raise FailedEvaluations(failures, scores)
    return scores


def check_scores(scores: np.ndarray, architectures: Sequence[Architecture], metric: Metric) -> np.ndarray:
    """The scores, if each is one the metric can give. ValueError naming the first architecture whose score is not."""
    scores = as_scores(scores, len(architectures))
    low, high = (0.0, 1.0) if metric == "accuracy" else (-np.inf, 0.0)
    fine = np.isfinite(scores) & (scores >= low) & (scores <= high)
    if not fine.all():
        i = int(np.argmin(fine))
        raise ValueError(f"evaluator returned {scores[i]} as {metric} of architecture {architectures[i].key}")
    return scores


def as_scores(scores: Any, n: int) -> np.ndarray:
    """What an evaluator returned as float64 (n,). ValueError if it is not a number for each of n architectures."""
    array = np.asarray(scores)
    if array.shape != (n,) or array.dtype.kind not in "fiu":
        got = type(scores).__name__ if array.dtype.kind == "O" else f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"an evaluator returns a number for each architecture, float64 of shape ({n},); got {got}")
    return array.astype(np.float64, copy=False)
