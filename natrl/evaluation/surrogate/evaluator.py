"""The evaluator that asks another one for a few architectures and predicts the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Seed
from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.evaluation.base import check_evaluator, check_queries, check_scores, Evaluator, FailedEvaluations
from natrl.evaluation.surrogate.model import BEFORE, CAUTION, ScoreModel
from natrl.evaluation.surrogate.regressors import REGRESSORS

__all__ = ["SurrogateEvaluator", "rounds_every"]

FIRST = 1 / 6  # share of the queries that the first fit gets
OPENING = 1 / 3  # … that is spent once the policy has proposed something
ROUNDS = 6  # in which the others are spent
CHOICE = 4  # proposals that are looked at for each one that is paid for


def rounds_every(iterations: int) -> int:
    """Iterations between rounds such that the queries are spent after two thirds of a policy's training."""
    return max(1, 2 * iterations // (3 * ROUNDS))


class SurrogateEvaluator(Evaluator):
    """Predicts the scores of an expensive evaluator from at most `queries` of its evaluations.

    The first call pays for a sixth of the queries, drawn from what it is asked for; `before_iteration` for a second
    sixth as soon as a policy has proposed something, and then, every `every` iterations, for a sixth of the others.
    These are drawn from what the policy has `proposed` since the last time, as often as it made it, and among those in
    proportion to the variance of what the model does not know of them. (Where nobody tells what is proposed, from what
    was asked for.) Then the model is fitted again (`ScoreModel`), which raises `version`. Of architectures that compute
    the same function one is paid for. One whose evaluation fails counts as paid for.

    Every score is a prediction, less a little where the model is not sure: of an architecture that was paid for, too,
    whose own score is but one of those that the model learned, as noisy as the others.
    """

    @checked
    def __init__(
        self, inner: Evaluator, *, queries: Count, every: Count = 5, seed: Seed = 0, before: Any = None
    ) -> None:
        """`before`: the `ScoreModel` of another task of the same slots, which may know something of this one.

        ValueError if `queries` is below 10 (too few to learn from) or `every` below 1.
        """
        self.inner = check_evaluator(inner)
        self.metric = inner.metric
        self.queries = check_queries(queries)
        self.every = every
        self.seed = seed
        self._before: ScoreModel | None = before
        self._fits = 0
        self._iterations = 0
        self._paid: dict[Architecture, float] = {}  # NaN: the evaluation failed
        self._asked: dict[Architecture, None] = {}  # since the last fit, in order, until something is proposed
        self._proposals: Counter[Architecture] = Counter()  # of the policy, since the last fit
        self._round: dict[str, float] = {}  # what the last round was predicted to score, and scored
        self._model: ScoreModel | None = None

    @property
    def version(self) -> int:  # type: ignore[override]  # fits, and what the wrapped evaluator counts
        return self.inner.version + self._fits

    @property
    def paid(self) -> int:
        """How many architectures the wrapped evaluator was asked for."""
        return len(self._paid)

    @property
    def model(self) -> ScoreModel | None:
        """The model of the last fit; None before the first."""
        return self._model

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): predictions, less `CAUTION` standard deviations."""
        if not architectures:
            return np.zeros(0)
        if not self._proposals:
            self._asked.update(dict.fromkeys(architectures))
        if self._model is None:
            self._pay(round(FIRST * self.queries))
        assert self._model is not None
        return self._model.predict(architectures, CAUTION)

    def proposed(self, architectures: Sequence[Architecture]) -> None:
        self._proposals.update(architectures)
        self.inner.proposed(architectures)

    def before_iteration(self) -> None:
        """Where a round is due and queries are left, pays for it and fits again."""
        self._iterations += 1
        opening = round(OPENING * self.queries)
        left = self.queries - self.paid
        if self._model is None or not left:
            return
        if self._proposals and self.paid < opening:
            self._pay(opening - self.paid)
        elif self._iterations % self.every == 0:
            self._pay(min(left, max(1, round((1 - OPENING) * self.queries / ROUNDS))))

    def statistics(self) -> dict[str, float]:
        """`evaluations`, those that were paid for, what the wrapped evaluator has to say, and how good the model is.

        `model_spearman`, `model_r2` and `model_error` (root mean square, in scores) are of predictions without the
        architecture's own score, `model_noise` the standard deviation of scores that no model explains; `model_…` the
        shares of regressors. `round_predicted` and `round_score` are means over the last round that was paid for:
        before it was learned from, and as it came out.
        """
        known: dict[str, float] = {}
        if self._model is not None and self._model.trust:
            said = self._model.trust | {kind: self._model.shares.get(kind, 0.0) for kind in (BEFORE, *REGRESSORS)}
            known = {f"model_{name}": value for name, value in said.items()}
        return {**self.inner.statistics(), **known, **self._round, "evaluations": self.paid}

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
            "round": dict(self._round),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state["inner"])
        self._fits, self._iterations = state["fits"], state["iterations"]
        self._paid = {Architecture.from_dict(a): score for a, score in state["paid"]}
        self._proposals = Counter({Architecture.from_dict(a): count for a, count in state["proposals"]})
        self._asked = {Architecture.from_dict(a): None for a in state["asked"]}
        self._round = dict(state.get("round", {}))
        self._model = self._learned() if self._paid else None

    def close(self) -> None:
        self.inner.close()

    def _pay(self, n: int) -> None:
        """Pays for n architectures, where there are so many, and learns from all that was paid for.

        FailedEvaluations if there is nothing to learn from.
        """
        chosen = self._chosen(n)
        if not chosen:
            return
        try:
            scores = check_scores(self.inner.evaluate(chosen), chosen, self.metric)
        except FailedEvaluations as error:
            scores = error.scores
            if not self._known() and np.isnan(scores).all():
                raise
        if self._model is not None and not np.isnan(scores).all():
            predicted = self._model.predict(chosen)[~np.isnan(scores)]
            self._round = {"round_predicted": float(predicted.mean()), "round_score": float(np.nanmean(scores))}
        self._paid.update(zip(chosen, scores.tolist(), strict=True))
        self._asked.clear()
        self._proposals.clear()
        self._model = self._learned()
        self._fits += 1

    def _known(self) -> dict[Architecture, float]:
        """What was paid for and did not fail."""
        return {a: score for a, score in self._paid.items() if not np.isnan(score)}

    def _learned(self) -> ScoreModel:
        known = self._known()
        return ScoreModel(list(known), np.array([*known.values()]), self.metric, self.seed, before=self._before)

    def _chosen(self, n: int) -> list[Architecture]:
        """At most n architectures that are worth an evaluation, one a function, none that was paid for."""
        rng = np.random.default_rng([self.seed, self._fits])
        found = self._drawn(rng)
        if self._model is None:
            return [a for a, _ in zip(found, range(n), strict=False)]
        looked = [a for a, _ in zip(found, range(CHOICE * n), strict=False)]
        if len(looked) <= n:
            return looked
        variances = self._model.standard(looked)[1] ** 2 + 1e-12
        return [looked[i] for i in rng.choice(len(looked), n, replace=False, p=variances / variances.sum())]

    def _drawn(self, rng: np.random.Generator) -> Iterator[Architecture]:
        """What was proposed, or else asked for, in random order, sooner what was proposed more often."""
        times = self._proposals or Counter(self._asked.keys())
        architectures = list(times)
        order = np.argsort(rng.exponential(size=len(times)) / np.array(list(times.values())), kind="stable")
        seen = {function_key(a) for a in self._paid}
        for i in order.tolist():
            if (key := function_key(architectures[i])) not in seen:
                seen.add(key)
                yield architectures[i]
