"""The evaluator that asks another one for a few architectures and predicts the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_extraction import DictVectorizer

from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Seed
from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.evaluation.base import check_evaluator, check_queries, check_scores, Evaluator, FailedEvaluations, Metric
from natrl.evaluation.surrogate.path_features import path_counts

__all__ = ["ScoreRegressor", "SurrogateEvaluator", "rounds_every"]

TREES = 200
ROUNDS = 10  # in which what is left after the first queries is spent
FIRST = 1 / 3  # share of the queries that the first fit gets
PERFECT = 1.02  # accuracies are learned as −ln(1.02 − accuracy), so that differences near the top count
EXPLORATION = 0.5  # share of each round's queries that go where the trees disagree most


def rounds_every(iterations: int) -> int:
    """Iterations between rounds such that the queries are spent after two thirds of a policy's training."""
    return max(1, 2 * iterations // (3 * ROUNDS))


class ScoreRegressor:
    """An ensemble of extremely randomised trees over path counts (`natrl.evaluation.surrogate.path_features`)."""

    def __init__(self, metric: Metric, seed: int = 0) -> None:
        self.metric = metric
        self._vectorizer = DictVectorizer(dtype=np.float32, sparse=False)
        self._forest = ExtraTreesRegressor(TREES, max_features=0.5, random_state=seed)

    def fit(self, paths: Sequence[dict[str, int]], scores: np.ndarray) -> ScoreRegressor:
        """Learns scores float (N,) of architectures with these path counts; returns itself."""
        targets = -np.log(PERFECT - scores) if self.metric == "accuracy" else scores
        self._forest.fit(np.log1p(self._vectorizer.fit_transform(paths)), targets)
        return self

    def predict(self, paths: Sequence[dict[str, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Scores float64 (N,), and how far the trees disagree float64 (N,), in deviations of what they learned."""
        rows = np.log1p(self._vectorizer.transform(paths))
        trees = np.stack([tree.predict(rows) for tree in self._forest.estimators_])
        mean, spread = trees.mean(0), trees.std(0)
        scores = np.clip(PERFECT - np.exp(-mean), 0.0, 1.0) if self.metric == "accuracy" else np.minimum(mean, 0.0)
        return scores, spread


class SurrogateEvaluator(Evaluator):
    """Predicts the scores of an expensive evaluator from at most `queries` of its evaluations.

    The first call pays for a third of the queries, drawn from what it is asked for. After that calls are free:
    architectures that were paid for keep their score, others get a prediction. Every `every` iterations of the policy
    (`before_iteration`) a tenth of what was left is spent on what came since the last time: half of it on the
    architectures, initial ones included, that the ensemble disagrees about most, half on those that the policy proposed
    most often (`proposed`). Where a sure policy proposed fewer than that, the rest waits for later rounds; where nobody
    tells what is proposed, all goes to the first kind. Then the regressor is fitted again, which raises `version`. Of
    architectures that compute the same function one is paid for. One whose evaluation fails counts as paid for, and
    gets a prediction.
    """

    @checked
    def __init__(self, inner: Evaluator, *, queries: Count, every: Count = 5, seed: Seed = 0) -> None:
        """ValueError if `queries` is below 10 (too few to learn from) or `every` below 1."""
        self.inner = check_evaluator(inner)
        self.metric = inner.metric
        self.queries = check_queries(queries)
        self.every = every
        self.seed = seed
        self._fits = 0
        self._iterations = 0
        self._paid: dict[Architecture, float] = {}  # NaN: the evaluation failed
        self._asked: dict[Architecture, None] = {}  # since the last fit, in order
        self._proposals: Counter[Architecture] = Counter()  # of the policy, since the last fit
        self._regressor: ScoreRegressor | None = None

    @property
    def version(self) -> int:  # type: ignore[override]  # fits, and what the wrapped evaluator counts
        return self.inner.version + self._fits

    @property
    def paid(self) -> int:
        """How many architectures the wrapped evaluator was asked for."""
        return len(self._paid)

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): paid scores where there are, predictions elsewhere."""
        if not architectures:
            return np.zeros(0)
        self._asked.update(dict.fromkeys(architectures))
        if self._regressor is None:
            self._fit(self._first())
        assert self._regressor is not None
        scores = np.array([self._paid.get(a, np.nan) for a in architectures], dtype=np.float64)
        unknown = np.flatnonzero(np.isnan(scores)).tolist()
        if unknown:
            scores[unknown] = self._regressor.predict([path_counts(architectures[i]) for i in unknown])[0]
        return scores

    def proposed(self, architectures: Sequence[Architecture]) -> None:
        self._proposals.update(architectures)
        self.inner.proposed(architectures)

    def before_iteration(self) -> None:
        """Every `every` calls, while queries are left, pays for a round of proposals and fits again."""
        self._iterations += 1
        if self._regressor is None or self._iterations % self.every or self.paid >= self.queries:
            return
        chosen = self._round()
        if chosen:
            self._fit(chosen)

    def statistics(self) -> dict[str, float]:
        """`evaluations`, those that were paid for, and what the wrapped evaluator has to say."""
        return {**self.inner.statistics(), "evaluations": self.paid}

    def train_weights(self, steps: int) -> dict[str, float]:
        """ValueError: what was paid for would no longer hold."""
        raise ValueError("a surrogate needs scores that stay as they are; the reward of trained weights changes")

    def state_dict(self) -> dict[str, Any]:
        return {
            "inner": self.inner.state_dict(),
            "fits": self._fits,
            "iterations": self._iterations,
            "paid": [[a.to_dict(), score] for a, score in self._paid.items()],
            "asked": [a.to_dict() for a in self._asked],
            "proposals": [[a.to_dict(), count] for a, count in self._proposals.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state["inner"])
        self._fits, self._iterations = state["fits"], state["iterations"]
        self._paid = {Architecture.from_dict(a): score for a, score in state["paid"]}
        self._proposals = Counter({Architecture.from_dict(a): count for a, count in state["proposals"]})
        if "asked" in state:
            self._asked = {Architecture.from_dict(a): None for a in state["asked"]}
        else:  # of before 0.1: what was asked for, counted as proposals
            self._asked, self._proposals = dict.fromkeys(self._proposals), Counter()
        self._regressor = self._learned() if self._paid else None

    def close(self) -> None:
        self.inner.close()

    def _fit(self, chosen: list[Architecture]) -> None:
        """Pays for these and learns from all that was paid for. FailedEvaluations if there is nothing to learn from."""
        try:
            scores = check_scores(self.inner.evaluate(chosen), chosen, self.metric)
        except FailedEvaluations as error:
            scores = error.scores
            if not self._known() and np.isnan(scores).all():
                raise
        self._paid.update(zip(chosen, scores.tolist(), strict=True))
        self._asked.clear()
        self._proposals.clear()
        self._regressor = self._learned()
        self._fits += 1

    def _known(self) -> dict[Architecture, float]:
        """What was paid for and did not fail."""
        return {a: score for a, score in self._paid.items() if not np.isnan(score)}

    def _learned(self) -> ScoreRegressor:
        known = self._known()
        return ScoreRegressor(self.metric, self.seed).fit([path_counts(a) for a in known], np.array([*known.values()]))

    def _new(self) -> tuple[list[Architecture], np.ndarray]:
        """One architecture a function that was not paid for yet, and int (N,) how often the policy proposed it."""
        paid = {function_key(a) for a in self._paid}
        new: dict[str, Architecture] = {}
        times: Counter[str] = Counter()
        for architecture in dict.fromkeys((*self._proposals, *self._asked)):
            if (key := function_key(architecture)) not in paid:
                new.setdefault(key, architecture)
                times[key] += self._proposals[architecture]
        return list(new.values()), np.array([times[key] for key in new])

    def _first(self) -> list[Architecture]:
        new, _ = self._new()
        order = np.random.default_rng(self.seed).permutation(len(new))
        return [new[i] for i in order[: round(FIRST * self.queries)]]

    def _round(self) -> list[Architecture]:
        n = min(self.queries - self.paid, max(1, round((1 - FIRST) * self.queries / ROUNDS)))
        new, times = self._new()
        if len(new) <= n:
            return new
        assert self._regressor is not None
        spread = self._regressor.predict([path_counts(a) for a in new])[1]
        half = round(EXPLORATION * n) if self._proposals else n
        uncertain, others = np.split(np.argsort(-spread, kind="stable"), [half])
        frequent = [i for i in others[np.argsort(-times[others], kind="stable")] if times[i]][: n - half]
        return [new[i] for i in (*uncertain, *frequent)]
